CREATE TABLE saved_reports (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    owner_id text NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    title text NOT NULL CHECK (length(trim(title)) > 0),
    definition jsonb NOT NULL DEFAULT '{}', -- which metrics, days and dimensions
    shared boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (owner_id, title)
);
CREATE TRIGGER saved_reports_touch BEFORE UPDATE ON saved_reports FOR EACH ROW EXECUTE FUNCTION app.touch();

-- The views ask as the one who reads them, so the policies of the tables beneath hold.
-- Days are UTC; a program that needs the company's own days reads the setting time.zone and groups itself.
CREATE VIEW daily_sales
    WITH (security_invoker = true)
AS
SELECT
    (s.sold_at AT TIME ZONE 'UTC')::date AS day,
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
    WITH (security_invoker = true)
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
    WITH (security_invoker = true)
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

ALTER TABLE saved_reports ENABLE ROW LEVEL SECURITY;
ALTER TABLE saved_reports FORCE ROW LEVEL SECURITY;
-- A report is its owner's; sharing lets others read it.
CREATE POLICY saved_reports_read ON saved_reports FOR SELECT
    USING ((SELECT app.may('analytics.read')) AND (shared OR (SELECT app.person_id()) IS NULL OR owner_id = (SELECT app.person_id())));
CREATE POLICY saved_reports_own ON saved_reports FOR ALL
    USING ((SELECT app.allowed()) AND ((SELECT app.person_id()) IS NULL OR owner_id = (SELECT app.person_id())))
    WITH CHECK ((SELECT app.allowed()) AND ((SELECT app.person_id()) IS NULL OR owner_id = (SELECT app.person_id())));
