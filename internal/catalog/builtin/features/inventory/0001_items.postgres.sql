-- Units of measure. Quantities everywhere are whole numbers of a base unit (pieces, grams, millilitres …): a kilogram is stored as 1000 grams,
-- so sums are exact.
CREATE TABLE units (
    code text PRIMARY KEY CHECK (length(code) > 0),
    name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('count', 'mass', 'volume', 'length', 'area', 'time')),
    base_code text REFERENCES units (code) ON DELETE RESTRICT, -- NULL: this is a base unit
    factor bigint NOT NULL DEFAULT 1 CHECK (factor > 0), -- how many base units one of these is
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (base_code IS NOT NULL OR factor = 1),
    CHECK (base_code <> code)
);
CREATE INDEX units_base ON units (base_code);

CREATE TABLE categories (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    parent_id text REFERENCES categories (id) ON DELETE RESTRICT,
    name text NOT NULL CHECK (length(trim(name)) > 0),
    position integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (parent_id <> id)
);
-- A plain UNIQUE would let the top level repeat names, as no NULL equals another.
CREATE UNIQUE INDEX categories_name ON categories (coalesce(parent_id, ''), lower(name));
CREATE INDEX categories_parent ON categories (parent_id);
CREATE TRIGGER categories_touch BEFORE UPDATE ON categories FOR EACH ROW EXECUTE FUNCTION app.touch();

-- What is bought, stocked or sold. Items with a history are deactivated, not deleted.
CREATE TABLE items (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    sku text NOT NULL UNIQUE CHECK (length(trim(sku)) > 0),
    barcode text UNIQUE,
    name text NOT NULL CHECK (length(trim(name)) > 0),
    description text NOT NULL DEFAULT '',
    kind text NOT NULL DEFAULT 'product' CHECK (kind IN ('product', 'service')),
    category_id text REFERENCES categories (id) ON DELETE SET NULL,
    unit_code text NOT NULL DEFAULT 'pcs' REFERENCES units (code) ON DELETE RESTRICT, -- in which people see quantities
    tax_rate_id text REFERENCES tax_rates (id) ON DELETE RESTRICT,
    price_minor bigint NOT NULL DEFAULT 0 CHECK (price_minor >= 0), -- money is in minor units: cents of a euro
    price_quantity bigint NOT NULL DEFAULT 1 CHECK (price_quantity > 0), -- base units for that price: 1000 for a price per kilogram
    cost_minor bigint NOT NULL DEFAULT 0 CHECK (cost_minor >= 0), -- last purchase, for the same quantity
    currency text NOT NULL CHECK (length(currency) = 3 AND currency = upper(currency)),
    reorder_level bigint CHECK (reorder_level >= 0), -- base units; NULL: not watched
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX items_name ON items (lower(name));
CREATE INDEX items_category ON items (category_id);
CREATE INDEX items_unit ON items (unit_code);
CREATE INDEX items_tax_rate ON items (tax_rate_id);
CREATE TRIGGER items_touch BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION app.touch();

ALTER TABLE units ENABLE ROW LEVEL SECURITY;
ALTER TABLE units FORCE ROW LEVEL SECURITY;
CREATE POLICY units_read ON units FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY units_write ON units FOR ALL USING ((SELECT app.may('inventory.write'))) WITH CHECK ((SELECT app.may('inventory.write')));
ALTER TABLE categories ENABLE ROW LEVEL SECURITY;
ALTER TABLE categories FORCE ROW LEVEL SECURITY;
CREATE POLICY categories_read ON categories FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY categories_write ON categories FOR ALL USING ((SELECT app.may('inventory.write'))) WITH CHECK ((SELECT app.may('inventory.write')));
ALTER TABLE items ENABLE ROW LEVEL SECURITY;
ALTER TABLE items FORCE ROW LEVEL SECURITY;
CREATE POLICY items_read ON items FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY items_write ON items FOR ALL USING ((SELECT app.may('inventory.write'))) WITH CHECK ((SELECT app.may('inventory.write')));
