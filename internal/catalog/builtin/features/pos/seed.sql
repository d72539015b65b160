INSERT INTO role_permissions (role_id, permission) VALUES
    ('manager', 'pos.write'),
    ('staff', 'pos.write')
ON CONFLICT (role_id, permission) DO NOTHING;

INSERT INTO settings (key, value, kind, description) VALUES
    ('pos.receipt_footer', 'Thank you!', 'text', 'The last line of a receipt.'),
    ('pos.next_receipt_number', '1', 'integer', 'The number of the next receipt.')
ON CONFLICT (key) DO NOTHING;

INSERT INTO registers (id, name, location_id) VALUES ('reg_main', 'Register 1', 'loc_main') ON CONFLICT (id) DO NOTHING;
