CREATE TABLE registers (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    name TEXT NOT NULL UNIQUE CHECK (length(trim(name)) > 0),
    location_id TEXT NOT NULL REFERENCES locations (id) ON DELETE RESTRICT, -- whose stock it sells
    active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX registers_location ON registers (location_id);
CREATE TRIGGER registers_touch AFTER UPDATE ON registers WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE registers SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;

-- From opening the drawer to counting it.
CREATE TABLE register_shifts (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    register_id TEXT NOT NULL REFERENCES registers (id) ON DELETE RESTRICT,
    opened_by TEXT NOT NULL REFERENCES people (id) ON DELETE RESTRICT,
    opened_at TEXT NOT NULL,
    opening_minor INTEGER NOT NULL DEFAULT 0 CHECK (opening_minor >= 0), -- cash in the drawer at the start
    closed_by TEXT REFERENCES people (id) ON DELETE RESTRICT,
    closed_at TEXT,
    counted_minor INTEGER CHECK (counted_minor >= 0), -- cash counted at the end
    currency TEXT NOT NULL CHECK (length(currency) = 3 AND currency = upper(currency)),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CHECK (closed_at >= opened_at),
    -- Open, or closed whole: by whom, when and with how much.
    CHECK ((closed_at IS NULL) = (closed_by IS NULL) AND (closed_at IS NULL) = (counted_minor IS NULL))
) STRICT;
CREATE UNIQUE INDEX register_shifts_one_open ON register_shifts (register_id) WHERE closed_at IS NULL;
CREATE INDEX register_shifts_register ON register_shifts (register_id, opened_at);
CREATE INDEX register_shifts_opened_by ON register_shifts (opened_by);
CREATE INDEX register_shifts_closed_by ON register_shifts (closed_by);
CREATE TRIGGER register_shifts_touch AFTER UPDATE ON register_shifts WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE register_shifts SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;
