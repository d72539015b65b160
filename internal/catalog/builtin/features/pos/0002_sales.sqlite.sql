-- A receipt. The amounts of a refund are positive too; its kind says the direction.
CREATE TABLE sales (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    number TEXT NOT NULL UNIQUE, -- as printed
    shift_id TEXT NOT NULL REFERENCES register_shifts (id) ON DELETE RESTRICT,
    kind TEXT NOT NULL DEFAULT 'sale' CHECK (kind IN ('sale', 'refund')),
    refund_of TEXT REFERENCES sales (id) ON DELETE RESTRICT, -- a refund may come without its receipt
    status TEXT NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'paid', 'void')),
    sold_by TEXT NOT NULL REFERENCES people (id) ON DELETE RESTRICT,
    sold_at TEXT NOT NULL,
    customer_name TEXT NOT NULL DEFAULT '',
    currency TEXT NOT NULL CHECK (length(currency) = 3 AND currency = upper(currency)),
    total_minor INTEGER NOT NULL DEFAULT 0 CHECK (total_minor >= 0), -- what is paid, tax included
    tax_minor INTEGER NOT NULL DEFAULT 0 CHECK (tax_minor >= 0), -- of which tax
    note TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CHECK (tax_minor <= total_minor),
    CHECK (refund_of IS NULL OR kind = 'refund'),
    CHECK (refund_of <> id)
) STRICT;
CREATE INDEX sales_sold_at ON sales (sold_at);
CREATE INDEX sales_shift ON sales (shift_id);
CREATE INDEX sales_sold_by ON sales (sold_by, sold_at);
CREATE INDEX sales_refund_of ON sales (refund_of);
CREATE INDEX sales_open ON sales (shift_id, sold_at) WHERE status = 'open';
CREATE TRIGGER sales_touch AFTER UPDATE ON sales WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE sales SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;

-- Names, prices and tax as they were when sold: a later change of the item must not rewrite receipts.
CREATE TABLE sale_lines (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    sale_id TEXT NOT NULL REFERENCES sales (id) ON DELETE CASCADE,
    line_number INTEGER NOT NULL CHECK (line_number > 0),
    item_id TEXT NOT NULL REFERENCES items (id) ON DELETE RESTRICT,
    description TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity > 0), -- base units
    price_minor INTEGER NOT NULL CHECK (price_minor >= 0),
    price_quantity INTEGER NOT NULL DEFAULT 1 CHECK (price_quantity > 0), -- base units for that price
    discount_minor INTEGER NOT NULL DEFAULT 0 CHECK (discount_minor >= 0),
    tax_rate_id TEXT REFERENCES tax_rates (id) ON DELETE RESTRICT,
    tax_minor INTEGER NOT NULL DEFAULT 0 CHECK (tax_minor >= 0),
    total_minor INTEGER NOT NULL CHECK (total_minor >= 0), -- after discount, tax included
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    UNIQUE (sale_id, line_number),
    CHECK (tax_minor <= total_minor)
) STRICT;
CREATE INDEX sale_lines_item ON sale_lines (item_id);
CREATE INDEX sale_lines_tax_rate ON sale_lines (tax_rate_id);
CREATE TRIGGER sale_lines_touch AFTER UPDATE ON sale_lines WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE sale_lines SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;
