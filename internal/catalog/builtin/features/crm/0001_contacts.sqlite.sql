CREATE TABLE companies (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    name TEXT NOT NULL CHECK (length(trim(name)) > 0), -- not unique: two firms may bear one name
    website TEXT,
    industry TEXT NOT NULL DEFAULT '',
    phone TEXT,
    address TEXT NOT NULL DEFAULT '',
    tax_number TEXT,
    owner_id TEXT REFERENCES people (id) ON DELETE SET NULL, -- who of ours looks after them
    note TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX companies_name ON companies (lower(name));
CREATE INDEX companies_owner ON companies (owner_id);
CREATE TRIGGER companies_touch AFTER UPDATE ON companies WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE companies SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;

CREATE TABLE contacts (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    company_id TEXT REFERENCES companies (id) ON DELETE SET NULL,
    first_name TEXT NOT NULL DEFAULT '',
    last_name TEXT NOT NULL DEFAULT '',
    email TEXT CHECK (email = lower(email) AND email LIKE '%_@_%'),
    phone TEXT,
    job_title TEXT NOT NULL DEFAULT '',
    owner_id TEXT REFERENCES people (id) ON DELETE SET NULL,
    marketing_consent_at TEXT, -- NULL: no consent; when and not whether, as one has to prove it
    source TEXT NOT NULL DEFAULT '',
    note TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CHECK (length(trim(first_name || last_name)) > 0 OR email IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX contacts_email ON contacts (email) WHERE email IS NOT NULL;
CREATE INDEX contacts_name ON contacts (lower(last_name), lower(first_name));
CREATE INDEX contacts_company ON contacts (company_id);
CREATE INDEX contacts_owner ON contacts (owner_id);
CREATE TRIGGER contacts_touch AFTER UPDATE ON contacts WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE contacts SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;
