INSERT INTO role_permissions (role_id, permission) VALUES
    ('manager', 'inventory.write'),
    ('staff', 'inventory.write')
ON CONFLICT (role_id, permission) DO NOTHING;

INSERT INTO units (code, name, kind, base_code, factor) VALUES
    ('pcs', 'piece', 'count', NULL, 1),
    ('g', 'gram', 'mass', NULL, 1),
    ('ml', 'millilitre', 'volume', NULL, 1),
    ('mm', 'millimetre', 'length', NULL, 1),
    ('cm2', 'square centimetre', 'area', NULL, 1),
    ('min', 'minute', 'time', NULL, 1)
ON CONFLICT (code) DO NOTHING;

INSERT INTO units (code, name, kind, base_code, factor) VALUES
    ('doz', 'dozen', 'count', 'pcs', 12),
    ('kg', 'kilogram', 'mass', 'g', 1000),
    ('l', 'litre', 'volume', 'ml', 1000),
    ('m', 'metre', 'length', 'mm', 1000),
    ('m2', 'square metre', 'area', 'cm2', 10000),
    ('h', 'hour', 'time', 'min', 60)
ON CONFLICT (code) DO NOTHING;

INSERT INTO locations (id, name, kind) VALUES ('loc_main', 'Main location', 'store') ON CONFLICT (id) DO NOTHING;

INSERT INTO categories (id, name) VALUES ('cat_general', 'General') ON CONFLICT (id) DO NOTHING;
