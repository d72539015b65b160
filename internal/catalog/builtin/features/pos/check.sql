SELECT 'there is no register to sell at' AS fault
WHERE NOT EXISTS (SELECT 1 FROM registers WHERE active);

SELECT 'the setting pos.next_receipt_number is missing or no number' AS fault
WHERE NOT EXISTS (SELECT 1 FROM settings WHERE key = 'pos.next_receipt_number' AND kind = 'integer');

SELECT 'the total of sale ' || s.number || ' is not the sum of its lines' AS fault
FROM sales s
JOIN (SELECT sale_id, sum(total_minor) AS total_minor, sum(tax_minor) AS tax_minor FROM sale_lines GROUP BY sale_id) l ON l.sale_id = s.id
WHERE s.status = 'paid' AND (l.total_minor <> s.total_minor OR l.tax_minor <> s.tax_minor);

SELECT 'sale ' || s.number || ' is marked as paid and is not' AS fault
FROM sales s
LEFT JOIN (SELECT sale_id, sum(amount_minor) AS amount_minor FROM sale_payments GROUP BY sale_id) p ON p.sale_id = s.id
WHERE s.status = 'paid' AND coalesce(p.amount_minor, 0) <> s.total_minor;
