WITH expected (code) AS (VALUES ('pcs'), ('g'), ('kg'), ('ml'), ('l'), ('min'), ('h'))
SELECT 'the unit ' || expected.code || ' is missing' AS fault
FROM expected
LEFT JOIN units ON units.code = expected.code
WHERE units.code IS NULL;

SELECT 'the unit ' || u.code || ' is not of the kind of its base, or its base is no base unit' AS fault
FROM units u
JOIN units b ON b.code = u.base_code
WHERE b.kind <> u.kind OR b.base_code IS NOT NULL;

SELECT 'there is no location to keep stock at' AS fault
WHERE NOT EXISTS (SELECT 1 FROM locations WHERE active);

-- The levels must be the sum of the movements, in both directions.
SELECT 'the stock of item ' || coalesce(l.item_id, m.item_id) || ' is not the sum of its movements' AS fault
FROM stock_levels l
FULL JOIN (SELECT item_id, location_id, sum(quantity) AS quantity FROM stock_movements GROUP BY item_id, location_id) m
    ON m.item_id = l.item_id AND m.location_id = l.location_id
WHERE coalesce(l.quantity, 0) <> coalesce(m.quantity, 0);
