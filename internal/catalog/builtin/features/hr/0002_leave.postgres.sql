CREATE TABLE leave_types (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    name text NOT NULL UNIQUE CHECK (length(trim(name)) > 0),
    paid boolean NOT NULL DEFAULT true,
    needs_approval boolean NOT NULL DEFAULT true,
    yearly_half_days integer CHECK (yearly_half_days >= 0), -- NULL: without limit
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER leave_types_touch BEFORE UPDATE ON leave_types FOR EACH ROW EXECUTE FUNCTION app.touch();

-- Leave is counted in half days, so that half of one is a whole number.
CREATE TABLE leave_requests (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    employee_id text NOT NULL REFERENCES employees (id) ON DELETE CASCADE,
    leave_type_id text NOT NULL REFERENCES leave_types (id) ON DELETE RESTRICT,
    first_day date NOT NULL,
    last_day date NOT NULL,
    half_days integer NOT NULL CHECK (half_days > 0), -- working time only, without weekends and holidays
    status text NOT NULL DEFAULT 'requested' CHECK (status IN ('requested', 'approved', 'refused', 'withdrawn')),
    decided_by text REFERENCES people (id) ON DELETE SET NULL,
    decided_at timestamptz,
    note text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (last_day >= first_day),
    CHECK (status NOT IN ('approved', 'refused') OR decided_at IS NOT NULL)
);
CREATE INDEX leave_requests_employee ON leave_requests (employee_id, first_day);
CREATE INDEX leave_requests_type ON leave_requests (leave_type_id);
CREATE INDEX leave_requests_decided_by ON leave_requests (decided_by);
CREATE INDEX leave_requests_waiting ON leave_requests (first_day) WHERE status = 'requested';
CREATE TRIGGER leave_requests_touch BEFORE UPDATE ON leave_requests FOR EACH ROW EXECUTE FUNCTION app.touch();

ALTER TABLE leave_types ENABLE ROW LEVEL SECURITY;
ALTER TABLE leave_types FORCE ROW LEVEL SECURITY;
CREATE POLICY leave_types_read ON leave_types FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY leave_types_write ON leave_types FOR ALL USING ((SELECT app.may('hr.write'))) WITH CHECK ((SELECT app.may('hr.write')));
ALTER TABLE leave_requests ENABLE ROW LEVEL SECURITY;
ALTER TABLE leave_requests FORCE ROW LEVEL SECURITY;
CREATE POLICY leave_requests_read ON leave_requests FOR SELECT USING ((SELECT app.may('hr.read')) OR ((SELECT app.allowed()) AND employee_id = (SELECT app.employee_of(app.person_id()))));
CREATE POLICY leave_requests_write ON leave_requests FOR ALL USING ((SELECT app.may('hr.write'))) WITH CHECK ((SELECT app.may('hr.write')));
-- One asks for one's own leave and withdraws what is not decided; deciding takes hr.write.
CREATE POLICY leave_requests_ask ON leave_requests FOR INSERT
    WITH CHECK ((SELECT app.allowed()) AND employee_id = (SELECT app.employee_of(app.person_id())) AND status = 'requested' AND decided_by IS NULL);
CREATE POLICY leave_requests_withdraw ON leave_requests FOR UPDATE
    USING ((SELECT app.allowed()) AND employee_id = (SELECT app.employee_of(app.person_id())) AND status = 'requested')
    WITH CHECK (employee_id = (SELECT app.employee_of(app.person_id())) AND status IN ('requested', 'withdrawn') AND decided_by IS NULL);
