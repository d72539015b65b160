package provider

import (
	"fmt"
	"strings"
)

// CompatRoles are those that Supabase has and texts of a catalog may name. Those made by us have no login and no right but to the tables, and
// cannot pass row-level security: a role that is no superuser could not make one that can, and policies grant what service_role needs.
var CompatRoles = []string{"anon", "authenticated", "service_role"}

// CompatMark is the comment on what was made in Supabase's likeness, so that it can be told from Supabase's own.
const CompatMark = "kitshub:compat"

// CompatRoleSQL makes one of CompatRoles with its mark.
func CompatRoleSQL(role string) string {
	return fmt.Sprintf(`CREATE ROLE %s NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS; COMMENT ON ROLE %[1]s IS '%s'`, role, CompatMark)
}

// CompatGrantSQL lets a role become one of Supabase's roles, as Supabase's own front does; role is an SQL literal. Only those that we made: one
// that somebody else made may have rights elsewhere. It is not needed for the rest, so where the server refuses it the rest stands.
func CompatGrantSQL(role string) string {
	return fmt.Sprintf(`DO $do$ DECLARE r record; BEGIN
		FOR r IN SELECT rolname FROM pg_roles WHERE rolname IN ('%s') AND shobj_description(oid, 'pg_authid') = '%s' AND NOT (rolbypassrls OR rolsuper OR rolcanlogin) LOOP
			BEGIN EXECUTE format('GRANT %%I TO %%I', r.rolname, %s); EXCEPTION WHEN insufficient_privilege THEN NULL; END;
		END LOOP;
	END $do$`, strings.Join(CompatRoles, "', '"), CompatMark, role)
}

// AuthFunctions answer as Supabase's do: from the claims of the token that the front has verified and set. They go into a schema auth.
const AuthFunctions = `
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE
    RETURN coalesce(nullif(current_setting('request.jwt.claim', true), ''), nullif(current_setting('request.jwt.claims', true), ''))::jsonb;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE
    RETURN coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''), auth.jwt() ->> 'sub')::uuid;
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE
    RETURN coalesce(nullif(current_setting('request.jwt.claim.role', true), ''), auth.jwt() ->> 'role');
CREATE FUNCTION auth.email() RETURNS text LANGUAGE sql STABLE
    RETURN coalesce(nullif(current_setting('request.jwt.claim.email', true), ''), auth.jwt() ->> 'email')`
