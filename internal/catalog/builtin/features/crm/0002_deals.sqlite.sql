CREATE TABLE pipeline_stages (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    name TEXT NOT NULL UNIQUE CHECK (length(trim(name)) > 0),
    position INTEGER NOT NULL UNIQUE,
    kind TEXT NOT NULL DEFAULT 'open' CHECK (kind IN ('open', 'won', 'lost')),
    probability INTEGER NOT NULL DEFAULT 0 CHECK (probability BETWEEN 0 AND 100), -- percent, for the forecast
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CHECK (kind = 'open' OR probability = CASE kind WHEN 'won' THEN 100 ELSE 0 END)
) STRICT;
CREATE TRIGGER pipeline_stages_touch AFTER UPDATE ON pipeline_stages WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE pipeline_stages SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;

CREATE TABLE deals (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    title TEXT NOT NULL CHECK (length(trim(title)) > 0),
    company_id TEXT REFERENCES companies (id) ON DELETE RESTRICT,
    contact_id TEXT REFERENCES contacts (id) ON DELETE SET NULL,
    stage_id TEXT NOT NULL REFERENCES pipeline_stages (id) ON DELETE RESTRICT,
    owner_id TEXT REFERENCES people (id) ON DELETE SET NULL,
    amount_minor INTEGER CHECK (amount_minor >= 0), -- NULL: not known yet
    currency TEXT NOT NULL CHECK (length(currency) = 3 AND currency = upper(currency)),
    expected_close_on TEXT CHECK (expected_close_on IS date(expected_close_on)),
    closed_at TEXT,
    lost_reason TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX deals_stage ON deals (stage_id, expected_close_on);
CREATE INDEX deals_company ON deals (company_id);
CREATE INDEX deals_contact ON deals (contact_id);
CREATE INDEX deals_owner ON deals (owner_id) WHERE closed_at IS NULL;
CREATE TRIGGER deals_touch AFTER UPDATE ON deals WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE deals SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;
