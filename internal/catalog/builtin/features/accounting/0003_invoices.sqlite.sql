-- Invoices in both directions. The other party is written out: an invoice must stay as it was sent.
CREATE TABLE invoices (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    direction TEXT NOT NULL CHECK (direction IN ('sales', 'purchase')),
    number TEXT NOT NULL CHECK (length(trim(number)) > 0),
    party_name TEXT NOT NULL CHECK (length(trim(party_name)) > 0),
    party_address TEXT NOT NULL DEFAULT '',
    party_tax_number TEXT,
    status TEXT NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'issued', 'paid', 'void')),
    issued_on TEXT CHECK (issued_on IS date(issued_on)),
    due_on TEXT CHECK (due_on IS date(due_on)),
    currency TEXT NOT NULL CHECK (length(currency) = 3 AND currency = upper(currency)),
    net_minor INTEGER NOT NULL DEFAULT 0 CHECK (net_minor >= 0),
    tax_minor INTEGER NOT NULL DEFAULT 0 CHECK (tax_minor >= 0),
    total_minor INTEGER NOT NULL DEFAULT 0,
    entry_id TEXT UNIQUE REFERENCES journal_entries (id) ON DELETE RESTRICT, -- its place in the journal
    note TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CHECK (total_minor = net_minor + tax_minor),
    CHECK (status NOT IN ('issued', 'paid') OR (issued_on IS NOT NULL AND due_on IS NOT NULL)),
    CHECK (due_on >= issued_on)
) STRICT;
-- Our own numbers are unique; suppliers choose theirs, so those are unique for each of them.
CREATE UNIQUE INDEX invoices_number ON invoices (direction, number, (CASE direction WHEN 'purchase' THEN lower(party_name) ELSE '' END));
CREATE INDEX invoices_party ON invoices (lower(party_name));
CREATE INDEX invoices_due ON invoices (due_on) WHERE status = 'issued';
CREATE TRIGGER invoices_touch AFTER UPDATE ON invoices WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE invoices SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;

CREATE TABLE invoice_lines (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    invoice_id TEXT NOT NULL REFERENCES invoices (id) ON DELETE CASCADE,
    line_number INTEGER NOT NULL CHECK (line_number > 0),
    description TEXT NOT NULL,
    quantity_thousandths INTEGER NOT NULL DEFAULT 1000 CHECK (quantity_thousandths > 0), -- 1500 is one and a half
    unit TEXT NOT NULL DEFAULT '',
    price_minor INTEGER NOT NULL CHECK (price_minor >= 0), -- net, for one unit
    net_minor INTEGER NOT NULL CHECK (net_minor >= 0), -- of the line, rounded once
    tax_rate_id TEXT REFERENCES tax_rates (id) ON DELETE RESTRICT,
    tax_minor INTEGER NOT NULL DEFAULT 0 CHECK (tax_minor >= 0),
    account_id TEXT REFERENCES accounts (id) ON DELETE RESTRICT, -- where its net amount is posted
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    UNIQUE (invoice_id, line_number)
) STRICT;
CREATE INDEX invoice_lines_tax_rate ON invoice_lines (tax_rate_id);
CREATE INDEX invoice_lines_account ON invoice_lines (account_id);
CREATE TRIGGER invoice_lines_touch AFTER UPDATE ON invoice_lines WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE invoice_lines SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;

CREATE TABLE invoice_payments (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    invoice_id TEXT NOT NULL REFERENCES invoices (id) ON DELETE RESTRICT,
    amount_minor INTEGER NOT NULL CHECK (amount_minor <> 0), -- in the invoice's currency; negative: paid back
    paid_on TEXT NOT NULL CHECK (paid_on IS date(paid_on)),
    method TEXT NOT NULL CHECK (method IN ('transfer', 'direct_debit', 'card', 'cash', 'other')),
    reference TEXT NOT NULL DEFAULT '',
    entry_id TEXT REFERENCES journal_entries (id) ON DELETE RESTRICT,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX invoice_payments_invoice ON invoice_payments (invoice_id);
CREATE INDEX invoice_payments_entry ON invoice_payments (entry_id);
CREATE INDEX invoice_payments_day ON invoice_payments (paid_on);
CREATE TRIGGER invoice_payments_no_update BEFORE UPDATE ON invoice_payments
BEGIN
    SELECT RAISE(ABORT, 'invoice_payments is append-only: record a correction instead');
END;
CREATE TRIGGER invoice_payments_no_delete BEFORE DELETE ON invoice_payments
BEGIN
    SELECT RAISE(ABORT, 'invoice_payments is append-only: record a correction instead');
END;
