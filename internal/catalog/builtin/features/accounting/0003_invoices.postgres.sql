-- Invoices in both directions. The other party is written out: an invoice must stay as it was sent.
CREATE TABLE invoices (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    direction text NOT NULL CHECK (direction IN ('sales', 'purchase')),
    number text NOT NULL CHECK (length(trim(number)) > 0),
    party_name text NOT NULL CHECK (length(trim(party_name)) > 0),
    party_address text NOT NULL DEFAULT '',
    party_tax_number text,
    status text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'issued', 'paid', 'void')),
    issued_on date,
    due_on date,
    currency text NOT NULL CHECK (length(currency) = 3 AND currency = upper(currency)),
    net_minor bigint NOT NULL DEFAULT 0 CHECK (net_minor >= 0),
    tax_minor bigint NOT NULL DEFAULT 0 CHECK (tax_minor >= 0),
    total_minor bigint NOT NULL DEFAULT 0,
    entry_id text UNIQUE REFERENCES journal_entries (id) ON DELETE RESTRICT, -- its place in the journal
    note text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (total_minor = net_minor + tax_minor),
    CHECK (status NOT IN ('issued', 'paid') OR (issued_on IS NOT NULL AND due_on IS NOT NULL)),
    CHECK (due_on >= issued_on)
);
-- Our own numbers are unique; suppliers choose theirs, so those are unique for each of them.
CREATE UNIQUE INDEX invoices_number ON invoices (direction, number, (CASE direction WHEN 'purchase' THEN lower(party_name) ELSE '' END));
CREATE INDEX invoices_party ON invoices (lower(party_name));
CREATE INDEX invoices_due ON invoices (due_on) WHERE status = 'issued';
CREATE TRIGGER invoices_touch BEFORE UPDATE ON invoices FOR EACH ROW EXECUTE FUNCTION app.touch();

CREATE TABLE invoice_lines (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    invoice_id text NOT NULL REFERENCES invoices (id) ON DELETE CASCADE,
    line_number integer NOT NULL CHECK (line_number > 0),
    description text NOT NULL,
    quantity_thousandths bigint NOT NULL DEFAULT 1000 CHECK (quantity_thousandths > 0), -- 1500 is one and a half
    unit text NOT NULL DEFAULT '',
    price_minor bigint NOT NULL CHECK (price_minor >= 0), -- net, for one unit
    net_minor bigint NOT NULL CHECK (net_minor >= 0), -- of the line, rounded once
    tax_rate_id text REFERENCES tax_rates (id) ON DELETE RESTRICT,
    tax_minor bigint NOT NULL DEFAULT 0 CHECK (tax_minor >= 0),
    account_id text REFERENCES accounts (id) ON DELETE RESTRICT, -- where its net amount is posted
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (invoice_id, line_number)
);
CREATE INDEX invoice_lines_tax_rate ON invoice_lines (tax_rate_id);
CREATE INDEX invoice_lines_account ON invoice_lines (account_id);
CREATE TRIGGER invoice_lines_touch BEFORE UPDATE ON invoice_lines FOR EACH ROW EXECUTE FUNCTION app.touch();

CREATE TABLE invoice_payments (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    invoice_id text NOT NULL REFERENCES invoices (id) ON DELETE RESTRICT,
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0), -- in the invoice's currency; negative: paid back
    paid_on date NOT NULL,
    method text NOT NULL CHECK (method IN ('transfer', 'direct_debit', 'card', 'cash', 'other')),
    reference text NOT NULL DEFAULT '',
    entry_id text REFERENCES journal_entries (id) ON DELETE RESTRICT,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX invoice_payments_invoice ON invoice_payments (invoice_id);
CREATE INDEX invoice_payments_entry ON invoice_payments (entry_id);
CREATE INDEX invoice_payments_day ON invoice_payments (paid_on);
CREATE TRIGGER invoice_payments_append_only BEFORE UPDATE OR DELETE ON invoice_payments FOR EACH ROW EXECUTE FUNCTION app.refuse_change();

ALTER TABLE invoices ENABLE ROW LEVEL SECURITY;
ALTER TABLE invoices FORCE ROW LEVEL SECURITY;
CREATE POLICY invoices_read ON invoices FOR SELECT USING ((SELECT app.may('accounting.read')));
CREATE POLICY invoices_write ON invoices FOR ALL USING ((SELECT app.may('accounting.write'))) WITH CHECK ((SELECT app.may('accounting.write')));
ALTER TABLE invoice_lines ENABLE ROW LEVEL SECURITY;
ALTER TABLE invoice_lines FORCE ROW LEVEL SECURITY;
CREATE POLICY invoice_lines_read ON invoice_lines FOR SELECT USING ((SELECT app.may('accounting.read')));
CREATE POLICY invoice_lines_write ON invoice_lines FOR ALL USING ((SELECT app.may('accounting.write'))) WITH CHECK ((SELECT app.may('accounting.write')));
ALTER TABLE invoice_payments ENABLE ROW LEVEL SECURITY;
ALTER TABLE invoice_payments FORCE ROW LEVEL SECURITY;
CREATE POLICY invoice_payments_read ON invoice_payments FOR SELECT USING ((SELECT app.may('accounting.read')));
CREATE POLICY invoice_payments_write ON invoice_payments FOR ALL USING ((SELECT app.may('accounting.write'))) WITH CHECK ((SELECT app.may('accounting.write')));
