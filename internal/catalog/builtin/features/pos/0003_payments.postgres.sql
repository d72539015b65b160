-- One sale may be paid in parts. A payment is never rewritten; a mistake is mended by a refund.
CREATE TABLE sale_payments (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    sale_id text NOT NULL REFERENCES sales (id) ON DELETE RESTRICT,
    method text NOT NULL CHECK (method IN ('cash', 'card', 'transfer', 'voucher')),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0), -- in the sale's currency
    tendered_minor bigint CHECK (tendered_minor >= amount_minor), -- cash given; the difference is the change
    reference text NOT NULL DEFAULT '', -- the terminal's or the bank's number
    occurred_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (tendered_minor IS NULL OR method = 'cash')
);
CREATE INDEX sale_payments_sale ON sale_payments (sale_id);
CREATE INDEX sale_payments_time ON sale_payments (occurred_at, method);
CREATE TRIGGER sale_payments_append_only BEFORE UPDATE OR DELETE ON sale_payments FOR EACH ROW EXECUTE FUNCTION app.refuse_change();

ALTER TABLE sale_payments ENABLE ROW LEVEL SECURITY;
ALTER TABLE sale_payments FORCE ROW LEVEL SECURITY;
CREATE POLICY sale_payments_read ON sale_payments FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY sale_payments_write ON sale_payments FOR ALL USING ((SELECT app.may('pos.write'))) WITH CHECK ((SELECT app.may('pos.write')));
