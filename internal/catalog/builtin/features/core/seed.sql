INSERT INTO roles (id, title, description, built_in) VALUES
    ('owner', 'Owner', 'May do everything.', true),
    ('manager', 'Manager', 'Runs the daily business and may change settings.', true),
    ('staff', 'Staff', 'Works with the daily business.', true),
    ('accountant', 'Accountant', 'Keeps the books.', true),
    ('viewer', 'Viewer', 'Looks and changes nothing.', true)
ON CONFLICT (id) DO NOTHING;

-- Only the owner changes people: whoever may change who signs in as whom may become anybody.
INSERT INTO role_permissions (role_id, permission) VALUES
    ('owner', '*'),
    ('manager', 'settings.write'),
    ('manager', 'activity.read'),
    ('accountant', 'activity.read')
ON CONFLICT (role_id, permission) DO NOTHING;

INSERT INTO settings (key, value, kind, description) VALUES
    ('company.name', '', 'text', 'The name on receipts and invoices.'),
    ('company.address', '', 'text', 'The address on receipts and invoices.'),
    ('company.tax_number', '', 'text', 'The VAT or tax number on receipts and invoices.'),
    ('money.currency', 'EUR', 'text', 'The currency of new records, ISO 4217.'),
    ('time.zone', 'UTC', 'text', 'The zone in which a business day begins and ends, as in the IANA database.'),
    ('time.week_starts_on', '1', 'integer', '1 is Monday, 7 is Sunday.'),
    ('tax.prices_include_tax', 'true', 'boolean', 'Whether prices are shown and entered with tax.')
ON CONFLICT (key) DO NOTHING;

INSERT INTO tax_rates (id, name, rate_basis_points, is_default) VALUES
    ('tax_none', 'No tax', 0, false),
    ('tax_reduced', 'Reduced rate', 700, false),
    ('tax_standard', 'Standard rate', 1900, true)
ON CONFLICT (id) DO NOTHING;
