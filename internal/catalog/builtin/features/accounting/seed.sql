INSERT INTO role_permissions (role_id, permission) VALUES
    ('manager', 'accounting.read'),
    ('accountant', 'accounting.read'),
    ('accountant', 'accounting.write')
ON CONFLICT (role_id, permission) DO NOTHING;

INSERT INTO settings (key, value, kind, description) VALUES
    ('accounting.next_invoice_number', '1', 'integer', 'The number of the next sales invoice.'),
    ('accounting.payment_days', '14', 'integer', 'Days until a sales invoice is due.')
ON CONFLICT (key) DO NOTHING;

-- A short chart for a small trading or service business, to be grown by the company and its accountant.
INSERT INTO accounts (id, code, name, kind, parent_id) VALUES
    ('acc_1000', '1000', 'Current assets', 'asset', NULL),
    ('acc_1500', '1500', 'Fixed assets', 'asset', NULL),
    ('acc_2000', '2000', 'Liabilities', 'liability', NULL),
    ('acc_3000', '3000', 'Equity', 'equity', NULL),
    ('acc_4000', '4000', 'Income', 'income', NULL),
    ('acc_5000', '5000', 'Cost of sales', 'expense', NULL),
    ('acc_6000', '6000', 'Operating expenses', 'expense', NULL)
ON CONFLICT (id) DO NOTHING;

INSERT INTO accounts (id, code, name, kind, parent_id) VALUES
    ('acc_1010', '1010', 'Cash', 'asset', 'acc_1000'),
    ('acc_1020', '1020', 'Bank', 'asset', 'acc_1000'),
    ('acc_1030', '1030', 'Card payments in transit', 'asset', 'acc_1000'),
    ('acc_1100', '1100', 'Receivables', 'asset', 'acc_1000'),
    ('acc_1200', '1200', 'Stock', 'asset', 'acc_1000'),
    ('acc_1300', '1300', 'Input tax', 'asset', 'acc_1000'),
    ('acc_1510', '1510', 'Equipment', 'asset', 'acc_1500'),
    ('acc_1520', '1520', 'Accumulated depreciation', 'asset', 'acc_1500'),
    ('acc_2010', '2010', 'Payables', 'liability', 'acc_2000'),
    ('acc_2020', '2020', 'Sales tax owed', 'liability', 'acc_2000'),
    ('acc_2030', '2030', 'Wages owed', 'liability', 'acc_2000'),
    ('acc_2100', '2100', 'Loans', 'liability', 'acc_2000'),
    ('acc_3010', '3010', 'Capital', 'equity', 'acc_3000'),
    ('acc_3020', '3020', 'Drawings', 'equity', 'acc_3000'),
    ('acc_3900', '3900', 'Retained earnings', 'equity', 'acc_3000'),
    ('acc_4010', '4010', 'Sales of goods', 'income', 'acc_4000'),
    ('acc_4020', '4020', 'Services', 'income', 'acc_4000'),
    ('acc_4090', '4090', 'Discounts and refunds', 'income', 'acc_4000'),
    ('acc_4900', '4900', 'Other income', 'income', 'acc_4000'),
    ('acc_5010', '5010', 'Goods sold', 'expense', 'acc_5000'),
    ('acc_5020', '5020', 'Freight and customs', 'expense', 'acc_5000'),
    ('acc_5090', '5090', 'Stock losses', 'expense', 'acc_5000'),
    ('acc_6010', '6010', 'Wages', 'expense', 'acc_6000'),
    ('acc_6020', '6020', 'Rent', 'expense', 'acc_6000'),
    ('acc_6030', '6030', 'Energy and water', 'expense', 'acc_6000'),
    ('acc_6040', '6040', 'Software and telephone', 'expense', 'acc_6000'),
    ('acc_6050', '6050', 'Advertising', 'expense', 'acc_6000'),
    ('acc_6060', '6060', 'Insurance', 'expense', 'acc_6000'),
    ('acc_6070', '6070', 'Travel', 'expense', 'acc_6000'),
    ('acc_6080', '6080', 'Bank and card fees', 'expense', 'acc_6000'),
    ('acc_6090', '6090', 'Professional services', 'expense', 'acc_6000'),
    ('acc_6100', '6100', 'Depreciation', 'expense', 'acc_6000'),
    ('acc_6900', '6900', 'Other expenses', 'expense', 'acc_6000')
ON CONFLICT (id) DO NOTHING;
