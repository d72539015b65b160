-- What was said or is to be done: a call, a mail, a meeting, a note, a task.
CREATE TABLE interactions (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    kind TEXT NOT NULL CHECK (kind IN ('call', 'email', 'meeting', 'note', 'task')),
    company_id TEXT REFERENCES companies (id) ON DELETE CASCADE,
    contact_id TEXT REFERENCES contacts (id) ON DELETE CASCADE,
    deal_id TEXT REFERENCES deals (id) ON DELETE CASCADE,
    person_id TEXT REFERENCES people (id) ON DELETE SET NULL,
    subject TEXT NOT NULL CHECK (length(trim(subject)) > 0),
    body TEXT NOT NULL DEFAULT '',
    occurred_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    due_at TEXT, -- of a task
    done_at TEXT,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CHECK (company_id IS NOT NULL OR contact_id IS NOT NULL OR deal_id IS NOT NULL),
    CHECK (kind = 'task' OR (due_at IS NULL AND done_at IS NULL))
) STRICT;
CREATE INDEX interactions_company ON interactions (company_id, occurred_at);
CREATE INDEX interactions_contact ON interactions (contact_id, occurred_at);
CREATE INDEX interactions_deal ON interactions (deal_id, occurred_at);
CREATE INDEX interactions_tasks ON interactions (person_id, due_at) WHERE kind = 'task' AND done_at IS NULL;
CREATE TRIGGER interactions_touch AFTER UPDATE ON interactions WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE interactions SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;
