INSERT INTO role_permissions (role_id, permission) VALUES
    ('manager', 'crm.write'),
    ('staff', 'crm.write')
ON CONFLICT (role_id, permission) DO NOTHING;

INSERT INTO pipeline_stages (id, name, position, kind, probability) VALUES
    ('stage_lead', 'Lead', 10, 'open', 10),
    ('stage_qualified', 'Qualified', 20, 'open', 25),
    ('stage_proposal', 'Proposal', 30, 'open', 50),
    ('stage_negotiation', 'Negotiation', 40, 'open', 75),
    ('stage_won', 'Won', 50, 'won', 100),
    ('stage_lost', 'Lost', 60, 'lost', 0)
ON CONFLICT (id) DO NOTHING;
