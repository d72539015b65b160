CREATE TABLE suppliers (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    name TEXT NOT NULL UNIQUE CHECK (length(trim(name)) > 0),
    email TEXT,
    phone TEXT,
    address TEXT NOT NULL DEFAULT '',
    tax_number TEXT,
    payment_days INTEGER NOT NULL DEFAULT 30 CHECK (payment_days BETWEEN 0 AND 365),
    active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE TRIGGER suppliers_touch AFTER UPDATE ON suppliers WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE suppliers SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;

CREATE TABLE purchase_orders (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    number TEXT NOT NULL UNIQUE,
    supplier_id TEXT NOT NULL REFERENCES suppliers (id) ON DELETE RESTRICT,
    location_id TEXT NOT NULL REFERENCES locations (id) ON DELETE RESTRICT, -- where the goods go
    status TEXT NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'sent', 'received', 'cancelled')),
    ordered_on TEXT CHECK (ordered_on IS date(ordered_on)),
    expected_on TEXT CHECK (expected_on IS date(expected_on)),
    currency TEXT NOT NULL CHECK (length(currency) = 3 AND currency = upper(currency)),
    note TEXT NOT NULL DEFAULT '',
    created_by TEXT REFERENCES people (id) ON DELETE SET NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CHECK (status IN ('draft', 'cancelled') OR ordered_on IS NOT NULL),
    CHECK (expected_on >= ordered_on)
) STRICT;
CREATE INDEX purchase_orders_supplier ON purchase_orders (supplier_id, ordered_on);
CREATE INDEX purchase_orders_location ON purchase_orders (location_id);
CREATE INDEX purchase_orders_created_by ON purchase_orders (created_by);
CREATE INDEX purchase_orders_open ON purchase_orders (expected_on) WHERE status = 'sent';
CREATE TRIGGER purchase_orders_touch AFTER UPDATE ON purchase_orders WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE purchase_orders SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;

CREATE TABLE purchase_order_lines (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    purchase_order_id TEXT NOT NULL REFERENCES purchase_orders (id) ON DELETE CASCADE,
    line_number INTEGER NOT NULL CHECK (line_number > 0),
    item_id TEXT NOT NULL REFERENCES items (id) ON DELETE RESTRICT,
    quantity INTEGER NOT NULL CHECK (quantity > 0), -- base units
    received_quantity INTEGER NOT NULL DEFAULT 0 CHECK (received_quantity >= 0), -- suppliers do send more than was ordered
    cost_minor INTEGER NOT NULL CHECK (cost_minor >= 0), -- of the whole line, in the order's currency
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    UNIQUE (purchase_order_id, line_number)
) STRICT;
CREATE INDEX purchase_order_lines_item ON purchase_order_lines (item_id);
CREATE TRIGGER purchase_order_lines_touch AFTER UPDATE ON purchase_order_lines WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE purchase_order_lines SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;
