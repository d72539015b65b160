CREATE TABLE companies (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    name text NOT NULL CHECK (length(trim(name)) > 0), -- not unique: two firms may bear one name
    website text,
    industry text NOT NULL DEFAULT '',
    phone text,
    address text NOT NULL DEFAULT '',
    tax_number text,
    owner_id text REFERENCES people (id) ON DELETE SET NULL, -- who of ours looks after them
    note text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX companies_name ON companies (lower(name));
CREATE INDEX companies_owner ON companies (owner_id);
CREATE TRIGGER companies_touch BEFORE UPDATE ON companies FOR EACH ROW EXECUTE FUNCTION app.touch();

CREATE TABLE contacts (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    company_id text REFERENCES companies (id) ON DELETE SET NULL,
    first_name text NOT NULL DEFAULT '',
    last_name text NOT NULL DEFAULT '',
    email text CHECK (email = lower(email) AND email LIKE '%_@_%'),
    phone text,
    job_title text NOT NULL DEFAULT '',
    owner_id text REFERENCES people (id) ON DELETE SET NULL,
    marketing_consent_at timestamptz, -- NULL: no consent; when and not whether, as one has to prove it
    source text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (length(trim(first_name || last_name)) > 0 OR email IS NOT NULL)
);
CREATE UNIQUE INDEX contacts_email ON contacts (email) WHERE email IS NOT NULL;
CREATE INDEX contacts_name ON contacts (lower(last_name), lower(first_name));
CREATE INDEX contacts_company ON contacts (company_id);
CREATE INDEX contacts_owner ON contacts (owner_id);
CREATE TRIGGER contacts_touch BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION app.touch();

ALTER TABLE companies ENABLE ROW LEVEL SECURITY;
ALTER TABLE companies FORCE ROW LEVEL SECURITY;
CREATE POLICY companies_read ON companies FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY companies_write ON companies FOR ALL USING ((SELECT app.may('crm.write'))) WITH CHECK ((SELECT app.may('crm.write')));
ALTER TABLE contacts ENABLE ROW LEVEL SECURITY;
ALTER TABLE contacts FORCE ROW LEVEL SECURITY;
CREATE POLICY contacts_read ON contacts FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY contacts_write ON contacts FOR ALL USING ((SELECT app.may('crm.write'))) WITH CHECK ((SELECT app.may('crm.write')));
