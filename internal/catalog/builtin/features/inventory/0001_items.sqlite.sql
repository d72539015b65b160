-- Units of measure. Quantities everywhere are whole numbers of a base unit (pieces, grams, millilitres …): a kilogram is stored as 1000 grams,
-- so sums are exact.
CREATE TABLE units (
    code TEXT PRIMARY KEY CHECK (length(code) > 0),
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('count', 'mass', 'volume', 'length', 'area', 'time')),
    base_code TEXT REFERENCES units (code) ON DELETE RESTRICT, -- NULL: this is a base unit
    factor INTEGER NOT NULL DEFAULT 1 CHECK (factor > 0), -- how many base units one of these is
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CHECK (base_code IS NOT NULL OR factor = 1),
    CHECK (base_code <> code)
) STRICT;
CREATE INDEX units_base ON units (base_code);

CREATE TABLE categories (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    parent_id TEXT REFERENCES categories (id) ON DELETE RESTRICT,
    name TEXT NOT NULL CHECK (length(trim(name)) > 0),
    position INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CHECK (parent_id <> id)
) STRICT;
-- A plain UNIQUE would let the top level repeat names, as no NULL equals another.
CREATE UNIQUE INDEX categories_name ON categories (coalesce(parent_id, ''), lower(name));
CREATE INDEX categories_parent ON categories (parent_id);
CREATE TRIGGER categories_touch AFTER UPDATE ON categories WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE categories SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;

-- What is bought, stocked or sold. Items with a history are deactivated, not deleted.
CREATE TABLE items (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    sku TEXT NOT NULL UNIQUE CHECK (length(trim(sku)) > 0),
    barcode TEXT UNIQUE,
    name TEXT NOT NULL CHECK (length(trim(name)) > 0),
    description TEXT NOT NULL DEFAULT '',
    kind TEXT NOT NULL DEFAULT 'product' CHECK (kind IN ('product', 'service')),
    category_id TEXT REFERENCES categories (id) ON DELETE SET NULL,
    unit_code TEXT NOT NULL DEFAULT 'pcs' REFERENCES units (code) ON DELETE RESTRICT, -- in which people see quantities
    tax_rate_id TEXT REFERENCES tax_rates (id) ON DELETE RESTRICT,
    price_minor INTEGER NOT NULL DEFAULT 0 CHECK (price_minor >= 0), -- money is in minor units: cents of a euro
    price_quantity INTEGER NOT NULL DEFAULT 1 CHECK (price_quantity > 0), -- base units for that price: 1000 for a price per kilogram
    cost_minor INTEGER NOT NULL DEFAULT 0 CHECK (cost_minor >= 0), -- last purchase, for the same quantity
    currency TEXT NOT NULL CHECK (length(currency) = 3 AND currency = upper(currency)),
    reorder_level INTEGER CHECK (reorder_level >= 0), -- base units; NULL: not watched
    active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX items_name ON items (lower(name));
CREATE INDEX items_category ON items (category_id);
CREATE INDEX items_unit ON items (unit_code);
CREATE INDEX items_tax_rate ON items (tax_rate_id);
CREATE TRIGGER items_touch AFTER UPDATE ON items WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE items SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;
