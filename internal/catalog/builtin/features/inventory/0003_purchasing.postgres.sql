CREATE TABLE suppliers (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    name text NOT NULL UNIQUE CHECK (length(trim(name)) > 0),
    email text,
    phone text,
    address text NOT NULL DEFAULT '',
    tax_number text,
    payment_days integer NOT NULL DEFAULT 30 CHECK (payment_days BETWEEN 0 AND 365),
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER suppliers_touch BEFORE UPDATE ON suppliers FOR EACH ROW EXECUTE FUNCTION app.touch();

CREATE TABLE purchase_orders (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    number text NOT NULL UNIQUE,
    supplier_id text NOT NULL REFERENCES suppliers (id) ON DELETE RESTRICT,
    location_id text NOT NULL REFERENCES locations (id) ON DELETE RESTRICT, -- where the goods go
    status text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'sent', 'received', 'cancelled')),
    ordered_on date,
    expected_on date,
    currency text NOT NULL CHECK (length(currency) = 3 AND currency = upper(currency)),
    note text NOT NULL DEFAULT '',
    created_by text REFERENCES people (id) ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (status IN ('draft', 'cancelled') OR ordered_on IS NOT NULL),
    CHECK (expected_on >= ordered_on)
);
CREATE INDEX purchase_orders_supplier ON purchase_orders (supplier_id, ordered_on);
CREATE INDEX purchase_orders_location ON purchase_orders (location_id);
CREATE INDEX purchase_orders_created_by ON purchase_orders (created_by);
CREATE INDEX purchase_orders_open ON purchase_orders (expected_on) WHERE status = 'sent';
CREATE TRIGGER purchase_orders_touch BEFORE UPDATE ON purchase_orders FOR EACH ROW EXECUTE FUNCTION app.touch();

CREATE TABLE purchase_order_lines (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    purchase_order_id text NOT NULL REFERENCES purchase_orders (id) ON DELETE CASCADE,
    line_number integer NOT NULL CHECK (line_number > 0),
    item_id text NOT NULL REFERENCES items (id) ON DELETE RESTRICT,
    quantity bigint NOT NULL CHECK (quantity > 0), -- base units
    received_quantity bigint NOT NULL DEFAULT 0 CHECK (received_quantity >= 0), -- suppliers do send more than was ordered
    cost_minor bigint NOT NULL CHECK (cost_minor >= 0), -- of the whole line, in the order's currency
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (purchase_order_id, line_number)
);
CREATE INDEX purchase_order_lines_item ON purchase_order_lines (item_id);
CREATE TRIGGER purchase_order_lines_touch BEFORE UPDATE ON purchase_order_lines FOR EACH ROW EXECUTE FUNCTION app.touch();

ALTER TABLE suppliers ENABLE ROW LEVEL SECURITY;
ALTER TABLE suppliers FORCE ROW LEVEL SECURITY;
CREATE POLICY suppliers_read ON suppliers FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY suppliers_write ON suppliers FOR ALL USING ((SELECT app.may('inventory.write'))) WITH CHECK ((SELECT app.may('inventory.write')));
ALTER TABLE purchase_orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE purchase_orders FORCE ROW LEVEL SECURITY;
CREATE POLICY purchase_orders_read ON purchase_orders FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY purchase_orders_write ON purchase_orders FOR ALL USING ((SELECT app.may('inventory.write'))) WITH CHECK ((SELECT app.may('inventory.write')));
ALTER TABLE purchase_order_lines ENABLE ROW LEVEL SECURITY;
ALTER TABLE purchase_order_lines FORCE ROW LEVEL SECURITY;
CREATE POLICY purchase_order_lines_read ON purchase_order_lines FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY purchase_order_lines_write ON purchase_order_lines FOR ALL USING ((SELECT app.may('inventory.write'))) WITH CHECK ((SELECT app.may('inventory.write')));
