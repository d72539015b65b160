CREATE TABLE time_entries (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    employee_id TEXT NOT NULL REFERENCES employees (id) ON DELETE CASCADE,
    started_at TEXT NOT NULL,
    ended_at TEXT, -- NULL: still at work
    break_minutes INTEGER NOT NULL DEFAULT 0 CHECK (break_minutes >= 0),
    note TEXT NOT NULL DEFAULT '',
    approved_by TEXT REFERENCES people (id) ON DELETE SET NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CHECK (ended_at > started_at)
) STRICT;
CREATE UNIQUE INDEX time_entries_one_open ON time_entries (employee_id) WHERE ended_at IS NULL;
CREATE INDEX time_entries_employee ON time_entries (employee_id, started_at);
CREATE INDEX time_entries_approved_by ON time_entries (approved_by);
CREATE TRIGGER time_entries_touch AFTER UPDATE ON time_entries WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE time_entries SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;

-- Pay from a day on; the latest row that has begun holds. A raise is a new row, so that past payrolls stay explainable.
CREATE TABLE compensation (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    employee_id TEXT NOT NULL REFERENCES employees (id) ON DELETE CASCADE,
    valid_from TEXT NOT NULL CHECK (valid_from IS date(valid_from)),
    period TEXT NOT NULL CHECK (period IN ('hour', 'month', 'year')),
    amount_minor INTEGER NOT NULL CHECK (amount_minor >= 0),
    currency TEXT NOT NULL CHECK (length(currency) = 3 AND currency = upper(currency)),
    note TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    UNIQUE (employee_id, valid_from)
) STRICT;
CREATE TRIGGER compensation_touch AFTER UPDATE ON compensation WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE compensation SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;
