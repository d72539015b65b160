-- A receipt. The amounts of a refund are positive too; its kind says the direction.
CREATE TABLE sales (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    number text NOT NULL UNIQUE, -- as printed
    shift_id text NOT NULL REFERENCES register_shifts (id) ON DELETE RESTRICT,
    kind text NOT NULL DEFAULT 'sale' CHECK (kind IN ('sale', 'refund')),
    refund_of text REFERENCES sales (id) ON DELETE RESTRICT, -- a refund may come without its receipt
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'paid', 'void')),
    sold_by text NOT NULL REFERENCES people (id) ON DELETE RESTRICT,
    sold_at timestamptz NOT NULL,
    customer_name text NOT NULL DEFAULT '',
    currency text NOT NULL CHECK (length(currency) = 3 AND currency = upper(currency)),
    total_minor bigint NOT NULL DEFAULT 0 CHECK (total_minor >= 0), -- what is paid, tax included
    tax_minor bigint NOT NULL DEFAULT 0 CHECK (tax_minor >= 0), -- of which tax
    note text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (tax_minor <= total_minor),
    CHECK (refund_of IS NULL OR kind = 'refund'),
    CHECK (refund_of <> id)
);
CREATE INDEX sales_sold_at ON sales (sold_at);
CREATE INDEX sales_shift ON sales (shift_id);
CREATE INDEX sales_sold_by ON sales (sold_by, sold_at);
CREATE INDEX sales_refund_of ON sales (refund_of);
CREATE INDEX sales_open ON sales (shift_id, sold_at) WHERE status = 'open';
CREATE TRIGGER sales_touch BEFORE UPDATE ON sales FOR EACH ROW EXECUTE FUNCTION app.touch();

-- Names, prices and tax as they were when sold: a later change of the item must not rewrite receipts.
CREATE TABLE sale_lines (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    sale_id text NOT NULL REFERENCES sales (id) ON DELETE CASCADE,
    line_number integer NOT NULL CHECK (line_number > 0),
    item_id text NOT NULL REFERENCES items (id) ON DELETE RESTRICT,
    description text NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0), -- base units
    price_minor bigint NOT NULL CHECK (price_minor >= 0),
    price_quantity bigint NOT NULL DEFAULT 1 CHECK (price_quantity > 0), -- base units for that price
    discount_minor bigint NOT NULL DEFAULT 0 CHECK (discount_minor >= 0),
    tax_rate_id text REFERENCES tax_rates (id) ON DELETE RESTRICT,
    tax_minor bigint NOT NULL DEFAULT 0 CHECK (tax_minor >= 0),
    total_minor bigint NOT NULL CHECK (total_minor >= 0), -- after discount, tax included
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (sale_id, line_number),
    CHECK (tax_minor <= total_minor)
);
CREATE INDEX sale_lines_item ON sale_lines (item_id);
CREATE INDEX sale_lines_tax_rate ON sale_lines (tax_rate_id);
CREATE TRIGGER sale_lines_touch BEFORE UPDATE ON sale_lines FOR EACH ROW EXECUTE FUNCTION app.touch();

ALTER TABLE sales ENABLE ROW LEVEL SECURITY;
ALTER TABLE sales FORCE ROW LEVEL SECURITY;
CREATE POLICY sales_read ON sales FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY sales_write ON sales FOR ALL USING ((SELECT app.may('pos.write'))) WITH CHECK ((SELECT app.may('pos.write')));
ALTER TABLE sale_lines ENABLE ROW LEVEL SECURITY;
ALTER TABLE sale_lines FORCE ROW LEVEL SECURITY;
CREATE POLICY sale_lines_read ON sale_lines FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY sale_lines_write ON sale_lines FOR ALL USING ((SELECT app.may('pos.write'))) WITH CHECK ((SELECT app.may('pos.write')));
