INSERT INTO role_permissions (role_id, permission) VALUES
    ('manager', 'hr.read'),
    ('manager', 'hr.write'),
    ('accountant', 'hr.read'),
    ('accountant', 'hr.pay')
ON CONFLICT (role_id, permission) DO NOTHING;

INSERT INTO leave_types (id, name, paid, needs_approval, yearly_half_days) VALUES
    ('leave_holiday', 'Holiday', true, true, 50),
    ('leave_sick', 'Sickness', true, false, NULL),
    ('leave_parental', 'Parental leave', false, true, NULL),
    ('leave_training', 'Training', true, true, 10),
    ('leave_unpaid', 'Unpaid leave', false, true, NULL)
ON CONFLICT (id) DO NOTHING;

INSERT INTO departments (id, name) VALUES ('dep_general', 'General') ON CONFLICT (id) DO NOTHING;
