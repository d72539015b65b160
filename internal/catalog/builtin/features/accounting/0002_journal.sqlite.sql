-- An entry is written as a draft with its lines and then posted. A posted one never changes: a mistake is mended by an entry that reverses it.
CREATE TABLE journal_entries (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    number TEXT NOT NULL UNIQUE,
    entry_date TEXT NOT NULL CHECK (entry_date IS date(entry_date)),
    period_id TEXT NOT NULL REFERENCES fiscal_periods (id) ON DELETE RESTRICT,
    memo TEXT NOT NULL DEFAULT '',
    source TEXT NOT NULL DEFAULT '', -- what it comes from: an invoice's number, a day's sales
    currency TEXT NOT NULL CHECK (length(currency) = 3 AND currency = upper(currency)),
    reverses_id TEXT UNIQUE REFERENCES journal_entries (id) ON DELETE RESTRICT,
    posted_at TEXT, -- NULL: a draft
    posted_by TEXT REFERENCES people (id) ON DELETE RESTRICT,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CHECK (reverses_id <> id)
) STRICT;
CREATE INDEX journal_entries_date ON journal_entries (entry_date);
CREATE INDEX journal_entries_period ON journal_entries (period_id);
CREATE INDEX journal_entries_posted_by ON journal_entries (posted_by);
CREATE INDEX journal_entries_drafts ON journal_entries (created_at) WHERE posted_at IS NULL;

CREATE TABLE journal_lines (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    entry_id TEXT NOT NULL REFERENCES journal_entries (id) ON DELETE CASCADE,
    line_number INTEGER NOT NULL CHECK (line_number > 0),
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE RESTRICT,
    debit_minor INTEGER NOT NULL DEFAULT 0 CHECK (debit_minor >= 0), -- in the entry's currency
    credit_minor INTEGER NOT NULL DEFAULT 0 CHECK (credit_minor >= 0),
    memo TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    UNIQUE (entry_id, line_number),
    CHECK ((debit_minor = 0) <> (credit_minor = 0)) -- one side, and not nothing
) STRICT;
CREATE INDEX journal_lines_account ON journal_lines (account_id);

CREATE TRIGGER journal_entries_draft_first BEFORE INSERT ON journal_entries WHEN NEW.posted_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a journal entry begins as a draft: post it once its lines are there');
END;
CREATE TRIGGER journal_entries_post BEFORE UPDATE ON journal_entries WHEN OLD.posted_at IS NULL AND NEW.posted_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'the entry does not balance: its debits must equal its credits and not be zero')
    WHERE NOT coalesce((SELECT sum(debit_minor) = sum(credit_minor) AND sum(debit_minor) > 0 FROM journal_lines WHERE entry_id = NEW.id), 0);
    SELECT RAISE(ABORT, 'the entry''s day is not in its period, or the period is closed')
    WHERE NOT EXISTS (
        SELECT 1 FROM fiscal_periods p
        WHERE p.id = NEW.period_id AND p.closed_at IS NULL AND NEW.entry_date BETWEEN p.first_day AND p.last_day
    );
END;
CREATE TRIGGER journal_entries_no_update BEFORE UPDATE ON journal_entries WHEN OLD.posted_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a posted journal entry never changes: reverse it with another');
END;
CREATE TRIGGER journal_entries_no_delete BEFORE DELETE ON journal_entries WHEN OLD.posted_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a posted journal entry never changes: reverse it with another');
END;
CREATE TRIGGER journal_lines_no_insert BEFORE INSERT ON journal_lines
WHEN EXISTS (SELECT 1 FROM journal_entries WHERE id = NEW.entry_id AND posted_at IS NOT NULL)
BEGIN
    SELECT RAISE(ABORT, 'a posted journal entry never changes: reverse it with another');
END;
CREATE TRIGGER journal_lines_no_update BEFORE UPDATE ON journal_lines
WHEN EXISTS (SELECT 1 FROM journal_entries WHERE id IN (OLD.entry_id, NEW.entry_id) AND posted_at IS NOT NULL)
BEGIN
    SELECT RAISE(ABORT, 'a posted journal entry never changes: reverse it with another');
END;
CREATE TRIGGER journal_lines_no_delete BEFORE DELETE ON journal_lines
WHEN EXISTS (SELECT 1 FROM journal_entries WHERE id = OLD.entry_id AND posted_at IS NOT NULL)
BEGIN
    SELECT RAISE(ABORT, 'a posted journal entry never changes: reverse it with another');
END;
-- Only for drafts: the update inside would be one of a posted entry, and posted_at tells when that last changed.
CREATE TRIGGER journal_entries_touch AFTER UPDATE ON journal_entries WHEN NEW.updated_at = OLD.updated_at AND NEW.posted_at IS NULL
BEGIN
    UPDATE journal_entries SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;
