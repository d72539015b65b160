-- People who use the system. They are deactivated rather than deleted, since records name them.
CREATE TABLE people (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    name TEXT NOT NULL CHECK (length(trim(name)) > 0),
    email TEXT UNIQUE CHECK (email = lower(email) AND email LIKE '%_@_%'),
    phone TEXT,
    locale TEXT NOT NULL DEFAULT 'en',
    auth_subject TEXT UNIQUE, -- who this is at the sign-in service: the JWT's "sub", on Supabase auth.uid()
    active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX people_name ON people (lower(name));
CREATE TRIGGER people_touch AFTER UPDATE ON people WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE people SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;
