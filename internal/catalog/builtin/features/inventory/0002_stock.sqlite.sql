CREATE TABLE locations (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    name TEXT NOT NULL UNIQUE CHECK (length(trim(name)) > 0),
    kind TEXT NOT NULL DEFAULT 'store' CHECK (kind IN ('store', 'warehouse', 'transit')),
    address TEXT NOT NULL DEFAULT '',
    active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE TRIGGER locations_touch AFTER UPDATE ON locations WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE locations SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;

-- The truth about stock: every change is a movement, and none is rewritten. A transfer is two movements with one reference.
CREATE TABLE stock_movements (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    item_id TEXT NOT NULL REFERENCES items (id) ON DELETE RESTRICT,
    location_id TEXT NOT NULL REFERENCES locations (id) ON DELETE RESTRICT,
    quantity INTEGER NOT NULL CHECK (quantity <> 0), -- base units; negative: goes out
    reason TEXT NOT NULL CHECK (reason IN ('opening', 'purchase', 'sale', 'return', 'transfer', 'count', 'waste')),
    reference TEXT NOT NULL DEFAULT '', -- what caused it: the number of a sale, an order, a count
    person_id TEXT REFERENCES people (id) ON DELETE RESTRICT,
    occurred_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX stock_movements_item ON stock_movements (item_id, location_id, occurred_at);
CREATE INDEX stock_movements_location ON stock_movements (location_id);
CREATE INDEX stock_movements_person ON stock_movements (person_id);
CREATE INDEX stock_movements_reference ON stock_movements (reference) WHERE reference <> '';
CREATE TRIGGER stock_movements_no_update BEFORE UPDATE ON stock_movements
BEGIN
    SELECT RAISE(ABORT, 'stock_movements is append-only: record a correction instead');
END;
CREATE TRIGGER stock_movements_no_delete BEFORE DELETE ON stock_movements
BEGIN
    SELECT RAISE(ABORT, 'stock_movements is append-only: record a correction instead');
END;

-- The sum of the movements, kept by a trigger so that reading it costs one row. It may be negative: goods are sold before their delivery is entered.
CREATE TABLE stock_levels (
    item_id TEXT NOT NULL REFERENCES items (id) ON DELETE CASCADE,
    location_id TEXT NOT NULL REFERENCES locations (id) ON DELETE CASCADE,
    quantity INTEGER NOT NULL DEFAULT 0,
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (item_id, location_id)
) STRICT;
CREATE INDEX stock_levels_location ON stock_levels (location_id);

CREATE TRIGGER stock_movements_sum AFTER INSERT ON stock_movements
BEGIN
    INSERT INTO stock_levels (item_id, location_id, quantity)
    VALUES (NEW.item_id, NEW.location_id, NEW.quantity)
    ON CONFLICT (item_id, location_id) DO UPDATE
        SET quantity = quantity + excluded.quantity, updated_at = excluded.updated_at;
END;
