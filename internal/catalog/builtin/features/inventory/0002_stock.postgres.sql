CREATE TABLE locations (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    name text NOT NULL UNIQUE CHECK (length(trim(name)) > 0),
    kind text NOT NULL DEFAULT 'store' CHECK (kind IN ('store', 'warehouse', 'transit')),
    address text NOT NULL DEFAULT '',
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER locations_touch BEFORE UPDATE ON locations FOR EACH ROW EXECUTE FUNCTION app.touch();

-- The truth about stock: every change is a movement, and none is rewritten. A transfer is two movements with one reference.
CREATE TABLE stock_movements (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    item_id text NOT NULL REFERENCES items (id) ON DELETE RESTRICT,
    location_id text NOT NULL REFERENCES locations (id) ON DELETE RESTRICT,
    quantity bigint NOT NULL CHECK (quantity <> 0), -- base units; negative: goes out
    reason text NOT NULL CHECK (reason IN ('opening', 'purchase', 'sale', 'return', 'transfer', 'count', 'waste')),
    reference text NOT NULL DEFAULT '', -- what caused it: the number of a sale, an order, a count
    person_id text REFERENCES people (id) ON DELETE RESTRICT,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX stock_movements_item ON stock_movements (item_id, location_id, occurred_at);
CREATE INDEX stock_movements_location ON stock_movements (location_id);
CREATE INDEX stock_movements_person ON stock_movements (person_id);
CREATE INDEX stock_movements_reference ON stock_movements (reference) WHERE reference <> '';
CREATE TRIGGER stock_movements_append_only BEFORE UPDATE OR DELETE ON stock_movements FOR EACH ROW EXECUTE FUNCTION app.refuse_change();

-- The sum of the movements, kept by a trigger so that reading it costs one row. It may be negative: goods are sold before their delivery is entered.
CREATE TABLE stock_levels (
    item_id text NOT NULL REFERENCES items (id) ON DELETE CASCADE,
    location_id text NOT NULL REFERENCES locations (id) ON DELETE CASCADE,
    quantity bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (item_id, location_id)
);
CREATE INDEX stock_levels_location ON stock_levels (location_id);

CREATE FUNCTION app.sum_stock() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.stock_levels AS l (item_id, location_id, quantity)
    VALUES (NEW.item_id, NEW.location_id, NEW.quantity)
    ON CONFLICT (item_id, location_id) DO UPDATE
        SET quantity = l.quantity + excluded.quantity, updated_at = excluded.updated_at;
    RETURN NULL;
END
$$;
CREATE TRIGGER stock_movements_sum AFTER INSERT ON stock_movements FOR EACH ROW EXECUTE FUNCTION app.sum_stock();

ALTER TABLE locations ENABLE ROW LEVEL SECURITY;
ALTER TABLE locations FORCE ROW LEVEL SECURITY;
CREATE POLICY locations_read ON locations FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY locations_write ON locations FOR ALL USING ((SELECT app.may('inventory.write'))) WITH CHECK ((SELECT app.may('inventory.write')));
ALTER TABLE stock_movements ENABLE ROW LEVEL SECURITY;
ALTER TABLE stock_movements FORCE ROW LEVEL SECURITY;
CREATE POLICY stock_movements_read ON stock_movements FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY stock_movements_write ON stock_movements FOR ALL USING ((SELECT app.may('inventory.write'))) WITH CHECK ((SELECT app.may('inventory.write')));
ALTER TABLE stock_levels ENABLE ROW LEVEL SECURITY;
ALTER TABLE stock_levels FORCE ROW LEVEL SECURITY;
CREATE POLICY stock_levels_read ON stock_levels FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY stock_levels_write ON stock_levels FOR ALL USING ((SELECT app.may('inventory.write'))) WITH CHECK ((SELECT app.may('inventory.write')));
