-- What every feature's policies call lives in a schema of its own, which an API that publishes "public" does not show.
CREATE SCHEMA app;
GRANT USAGE ON SCHEMA app TO PUBLIC;

-- Keeps updated_at true whatever program writes the row.
CREATE FUNCTION app.touch() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

-- For records whose worth is that nobody can rewrite them.
CREATE FUNCTION app.refuse_change() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: record a correction instead', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END
$$;

-- People who use the system. They are deactivated rather than deleted, since records name them.
CREATE TABLE people (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    name text NOT NULL CHECK (length(trim(name)) > 0),
    email text UNIQUE CHECK (email = lower(email) AND email LIKE '%_@_%'),
    phone text,
    locale text NOT NULL DEFAULT 'en',
    auth_subject text UNIQUE, -- who this is at the sign-in service: the JWT's "sub", on Supabase auth.uid()
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX people_name ON people (lower(name));
CREATE TRIGGER people_touch BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION app.touch();

-- The person behind a sign-in. Like all functions that look something up for a policy it works as the tables' owner, whom app.allowed lets
-- read: a stranger's right to read people cannot depend on reading people.
CREATE FUNCTION app.person_of(subject text) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
    AS $$ SELECT id FROM public.people WHERE auth_subject = subject AND active $$;

-- The person on whose behalf the session works, or NULL when it is the company's own program. A program says it with
-- SET app.person_id = '…'. For the role "authenticated" only the signed token counts, as its holder could set anything else.
CREATE FUNCTION app.person_id() RETURNS text
    LANGUAGE sql STABLE
    RETURN CASE current_user::text
        WHEN 'authenticated' THEN app.person_of(nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub')
        ELSE nullif(current_setting('app.person_id', true), '')
    END;

-- Whether the session may see the company's data at all. The database has one tenant, so a role that was granted the tables belongs here.
-- The exceptions are the two roles that Supabase grants every table to: strangers, and the signed-in, who must be people we know.
CREATE FUNCTION app.allowed() RETURNS boolean
    LANGUAGE sql STABLE
    RETURN CASE current_user::text
        WHEN 'anon' THEN false
        WHEN 'authenticated' THEN app.person_id() IS NOT NULL
        ELSE true
    END;

ALTER TABLE people ENABLE ROW LEVEL SECURITY;
ALTER TABLE people FORCE ROW LEVEL SECURITY;
CREATE POLICY people_read ON people FOR SELECT USING ((SELECT app.allowed()));
-- The policies for writing follow in 0002_roles, with the permissions they ask for. Until then nobody can write, the owner included.
