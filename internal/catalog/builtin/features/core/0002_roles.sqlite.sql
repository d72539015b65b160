CREATE TABLE roles (
    id TEXT PRIMARY KEY CHECK (length(id) > 0), -- a word such as 'manager': programs name roles
    title TEXT NOT NULL,
    description TEXT NOT NULL DEFAULT '',
    built_in INTEGER NOT NULL DEFAULT 0 CHECK (built_in IN (0, 1)),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE TRIGGER roles_touch AFTER UPDATE ON roles WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE roles SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;

-- What a role may do: 'FEATURE.ACTION', or '*' for everything. Each feature's seed adds its own.
CREATE TABLE role_permissions (
    role_id TEXT NOT NULL REFERENCES roles (id) ON DELETE CASCADE ON UPDATE CASCADE,
    permission TEXT NOT NULL CHECK (permission = '*' OR permission LIKE '_%._%'),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (role_id, permission)
) STRICT;

CREATE TABLE person_roles (
    person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    role_id TEXT NOT NULL REFERENCES roles (id) ON DELETE RESTRICT ON UPDATE CASCADE,
    granted_by TEXT REFERENCES people (id) ON DELETE SET NULL,
    granted_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (person_id, role_id)
) STRICT;
CREATE INDEX person_roles_role ON person_roles (role_id);
CREATE INDEX person_roles_granted_by ON person_roles (granted_by);
