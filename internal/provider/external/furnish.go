package external

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/kitshub/kitshub/internal/provider"
)

// lockKey is the advisory lock under which a database is furnished or cleared, so that two hubs do not get in each other's way.
const lockKey = 0x6b697473687562 // "kitshub"

// inTx runs f in a transaction of its own under the lock. Where somebody else holds what it needs it steps back and tries again, so f may run
// more than once.
func inTx(ctx context.Context, db *sql.DB, f func(*sql.Tx) error) error {
	return provider.Again(ctx, func() error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, fmt.Sprintf(`SET LOCAL lock_timeout = %d; SELECT pg_advisory_xact_lock(%d)`, provider.LockTimeout.Milliseconds(), lockKey))
		if err == nil {
			err = f(tx)
		}
		if err != nil {
			return errors.Join(err, tx.Rollback())
		}
		return tx.Commit()
	})
}

// furnish makes what texts of a catalog may rely on and Supabase has: the schema auth and, where the role may make roles, anon, authenticated and
// service_role. Where Supabase's own are there, nothing is made. The built-in catalog needs none of it.
func (p *base) furnish(ctx context.Context, db *sql.DB, who whose) error {
	return inTx(ctx, db, func(tx *sql.Tx) error {
		s, err := readSeal(ctx, tx)
		if err != nil {
			return err
		}
		if s.found && s.who != who {
			return taken(s)
		}
		var auth, supabase, mayMakeRoles bool
		var missing string
		err = tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth'), `+isSupabase+`, r.rolcreaterole OR r.rolsuper,
			(SELECT coalesce(string_agg(x, ','), '') FROM unnest(string_to_array($1, ',')) x WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = x))
			FROM pg_roles r WHERE r.rolname = current_user`, strings.Join(provider.CompatRoles, ",")).Scan(&auth, &supabase, &mayMakeRoles, &missing)
		if err != nil || supabase || auth {
			return err
		}
		var sql []string
		if mayMakeRoles && missing != "" {
			for role := range strings.SplitSeq(missing, ",") {
				// They are the whole server's, so another hub, or this one in another database, may make them at this moment.
				sql = append(sql, `DO $do$ BEGIN `+provider.CompatRoleSQL(role)+`; EXCEPTION WHEN duplicate_object THEN NULL; END $do$`)
			}
			missing = ""
		}
		sql = append(sql, `CREATE SCHEMA auth`, `COMMENT ON SCHEMA auth IS '`+provider.CompatMark+`'`, provider.AuthFunctions)
		if missing == "" {
			sql = append(sql, compatRights)
		}
		if mayMakeRoles {
			sql = append(sql, provider.CompatGrantSQL("current_user"))
		}
		_, err = tx.ExecContext(ctx, strings.Join(sql, ";\n"))
		return err
	})
}

// compatRights let Supabase's roles at the tables that will be made, as Supabase does; policies say what each may do there. Rights that somebody
// has arranged already are left as they are. TRUNCATE is not given: row-level security does not hold it back.
var compatRights = fmt.Sprintf(`
GRANT USAGE ON SCHEMA auth TO %[1]s;
DO $do$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_default_acl a JOIN pg_roles r ON r.oid = a.defaclrole AND r.rolname = current_user WHERE a.defaclnamespace = 'public'::regnamespace) THEN
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %[1]s;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO %[1]s;
  END IF;
END $do$`, strings.Join(provider.CompatRoles, ", "))
