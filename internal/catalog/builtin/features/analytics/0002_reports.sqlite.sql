CREATE TABLE saved_reports (
    id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    owner_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    title TEXT NOT NULL CHECK (length(trim(title)) > 0),
    definition TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(definition)), -- which metrics, days and dimensions
    shared INTEGER NOT NULL DEFAULT 0 CHECK (shared IN (0, 1)),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    UNIQUE (owner_id, title)
) STRICT;
CREATE TRIGGER saved_reports_touch AFTER UPDATE ON saved_reports WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE saved_reports SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;

-- Days are UTC; a program that needs the company's own days reads the setting time.zone and groups itself.
CREATE VIEW daily_sales
AS
SELECT
    date(s.sold_at) AS day,
    sh.register_id,
    s.currency,
    count(*) AS receipts,
    sum(CASE s.kind WHEN 'refund' THEN -s.total_minor ELSE s.total_minor END) AS total_minor,
    sum(CASE s.kind WHEN 'refund' THEN -s.tax_minor ELSE s.tax_minor END) AS tax_minor
FROM sales s
JOIN register_shifts sh ON sh.id = s.shift_id
WHERE s.status = 'paid'
GROUP BY 1, 2, 3;

CREATE VIEW item_sales
AS
SELECT
    l.item_id,
    i.sku,
    i.name,
    s.currency,
    sum(CASE s.kind WHEN 'refund' THEN -l.quantity ELSE l.quantity END) AS quantity,
    sum(CASE s.kind WHEN 'refund' THEN -l.total_minor ELSE l.total_minor END) AS total_minor
FROM sale_lines l
JOIN sales s ON s.id = l.sale_id AND s.status = 'paid'
JOIN items i ON i.id = l.item_id
GROUP BY l.item_id, i.sku, i.name, s.currency;

-- What to buy: watched items at or below their level, over all locations.
CREATE VIEW items_to_reorder
AS
SELECT
    i.id AS item_id,
    i.sku,
    i.name,
    i.reorder_level,
    coalesce(sum(l.quantity), 0) AS quantity
FROM items i
LEFT JOIN stock_levels l ON l.item_id = i.id
WHERE i.active AND i.reorder_level IS NOT NULL
GROUP BY i.id, i.sku, i.name, i.reorder_level
HAVING coalesce(sum(l.quantity), 0) <= i.reorder_level;
