CREATE TABLE leave_types (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    name TEXT NOT NULL UNIQUE CHECK (length(trim(name)) > 0),
    paid INTEGER NOT NULL DEFAULT 1 CHECK (paid IN (0, 1)),
    needs_approval INTEGER NOT NULL DEFAULT 1 CHECK (needs_approval IN (0, 1)),
    yearly_half_days INTEGER CHECK (yearly_half_days >= 0), -- NULL: without limit
    active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE TRIGGER leave_types_touch AFTER UPDATE ON leave_types WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE leave_types SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;

-- Leave is counted in half days, so that half of one is a whole number.
CREATE TABLE leave_requests (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    employee_id TEXT NOT NULL REFERENCES employees (id) ON DELETE CASCADE,
    leave_type_id TEXT NOT NULL REFERENCES leave_types (id) ON DELETE RESTRICT,
    first_day TEXT NOT NULL CHECK (first_day IS date(first_day)),
    last_day TEXT NOT NULL CHECK (last_day IS date(last_day)),
    half_days INTEGER NOT NULL CHECK (half_days > 0), -- working time only, without weekends and holidays
    status TEXT NOT NULL DEFAULT 'requested' CHECK (status IN ('requested', 'approved', 'refused', 'withdrawn')),
    decided_by TEXT REFERENCES people (id) ON DELETE SET NULL,
    decided_at TEXT,
    note TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CHECK (last_day >= first_day),
    CHECK (status NOT IN ('approved', 'refused') OR decided_at IS NOT NULL)
) STRICT;
CREATE INDEX leave_requests_employee ON leave_requests (employee_id, first_day);
CREATE INDEX leave_requests_type ON leave_requests (leave_type_id);
CREATE INDEX leave_requests_decided_by ON leave_requests (decided_by);
CREATE INDEX leave_requests_waiting ON leave_requests (first_day) WHERE status = 'requested';
CREATE TRIGGER leave_requests_touch AFTER UPDATE ON leave_requests WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE leave_requests SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;
