-- One sale may be paid in parts. A payment is never rewritten; a mistake is mended by a refund.
CREATE TABLE sale_payments (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    sale_id TEXT NOT NULL REFERENCES sales (id) ON DELETE RESTRICT,
    method TEXT NOT NULL CHECK (method IN ('cash', 'card', 'transfer', 'voucher')),
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0), -- in the sale's currency
    tendered_minor INTEGER CHECK (tendered_minor >= amount_minor), -- cash given; the difference is the change
    reference TEXT NOT NULL DEFAULT '', -- the terminal's or the bank's number
    occurred_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CHECK (tendered_minor IS NULL OR method = 'cash')
) STRICT;
CREATE INDEX sale_payments_sale ON sale_payments (sale_id);
CREATE INDEX sale_payments_time ON sale_payments (occurred_at, method);
CREATE TRIGGER sale_payments_no_update BEFORE UPDATE ON sale_payments
BEGIN
    SELECT RAISE(ABORT, 'sale_payments is append-only: record a correction instead');
END;
CREATE TRIGGER sale_payments_no_delete BEFORE DELETE ON sale_payments
BEGIN
    SELECT RAISE(ABORT, 'sale_payments is append-only: record a correction instead');
END;
