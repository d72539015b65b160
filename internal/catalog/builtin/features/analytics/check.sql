WITH expected (key) AS (VALUES ('sales.total'), ('sales.receipts'), ('stock.value'))
SELECT 'the metric ' || expected.key || ' is missing' AS fault
FROM expected
LEFT JOIN metrics ON metrics.key = expected.key
WHERE metrics.key IS NULL;

SELECT 'the metric ' || m.key || ' is money and has a value without currency, or the other way round' AS fault
FROM metric_values v
JOIN metrics m ON m.key = v.metric_key
WHERE (m.kind = 'money') <> (v.currency <> '');

-- The views must answer; each gives no row here whatever it holds.
SELECT 'daily_sales has a row without a day' AS fault FROM daily_sales WHERE day IS NULL
UNION ALL
SELECT 'item_sales has a row without an item' FROM item_sales WHERE item_id IS NULL
UNION ALL
SELECT 'items_to_reorder has a row without an item' FROM items_to_reorder WHERE item_id IS NULL;
