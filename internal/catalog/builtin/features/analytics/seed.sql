INSERT INTO role_permissions (role_id, permission) VALUES
    ('manager', 'analytics.read'),
    ('manager', 'analytics.write'),
    ('accountant', 'analytics.read'),
    ('viewer', 'analytics.read')
ON CONFLICT (role_id, permission) DO NOTHING;

INSERT INTO metrics (key, title, kind, description) VALUES
    ('sales.total', 'Sales', 'money', 'Paid sales less refunds, tax included.'),
    ('sales.receipts', 'Receipts', 'count', 'Paid sales and refunds.'),
    ('sales.average', 'Average receipt', 'money', 'Sales divided by receipts.'),
    ('sales.refund_share', 'Refunds', 'basis_points', 'Refunds as a part of sales.'),
    ('stock.value', 'Stock value', 'money', 'Stock at cost.'),
    ('stock.to_reorder', 'Items to reorder', 'count', 'Items at or below their reorder level.')
ON CONFLICT (key) DO NOTHING;
