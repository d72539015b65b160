CREATE TABLE departments (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    name TEXT NOT NULL UNIQUE CHECK (length(trim(name)) > 0),
    parent_id TEXT REFERENCES departments (id) ON DELETE RESTRICT,
    head_id TEXT REFERENCES people (id) ON DELETE SET NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CHECK (parent_id <> id)
) STRICT;
CREATE INDEX departments_parent ON departments (parent_id);
CREATE INDEX departments_head ON departments (head_id);
CREATE TRIGGER departments_touch AFTER UPDATE ON departments WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE departments SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;

-- The employment of a person; people who use the system need not be employees.
CREATE TABLE employees (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    person_id TEXT NOT NULL UNIQUE REFERENCES people (id) ON DELETE RESTRICT,
    number TEXT NOT NULL UNIQUE,
    department_id TEXT REFERENCES departments (id) ON DELETE SET NULL,
    manager_id TEXT REFERENCES employees (id) ON DELETE SET NULL,
    job_title TEXT NOT NULL DEFAULT '',
    employment TEXT NOT NULL DEFAULT 'permanent' CHECK (employment IN ('permanent', 'fixed_term', 'casual', 'apprentice', 'contractor')),
    hired_on TEXT NOT NULL CHECK (hired_on IS date(hired_on)),
    ended_on TEXT CHECK (ended_on IS date(ended_on)),
    weekly_minutes INTEGER NOT NULL DEFAULT 2400 CHECK (weekly_minutes BETWEEN 0 AND 10080), -- 2400 is 40 hours
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CHECK (ended_on >= hired_on),
    CHECK (manager_id <> id)
) STRICT;
CREATE INDEX employees_department ON employees (department_id);
CREATE INDEX employees_manager ON employees (manager_id);
CREATE TRIGGER employees_touch AFTER UPDATE ON employees WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE employees SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;
