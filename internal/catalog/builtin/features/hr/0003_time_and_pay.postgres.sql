CREATE TABLE time_entries (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    employee_id text NOT NULL REFERENCES employees (id) ON DELETE CASCADE,
    started_at timestamptz NOT NULL,
    ended_at timestamptz, -- NULL: still at work
    break_minutes integer NOT NULL DEFAULT 0 CHECK (break_minutes >= 0),
    note text NOT NULL DEFAULT '',
    approved_by text REFERENCES people (id) ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (ended_at > started_at)
);
CREATE UNIQUE INDEX time_entries_one_open ON time_entries (employee_id) WHERE ended_at IS NULL;
CREATE INDEX time_entries_employee ON time_entries (employee_id, started_at);
CREATE INDEX time_entries_approved_by ON time_entries (approved_by);
CREATE TRIGGER time_entries_touch BEFORE UPDATE ON time_entries FOR EACH ROW EXECUTE FUNCTION app.touch();

-- Pay from a day on; the latest row that has begun holds. A raise is a new row, so that past payrolls stay explainable.
CREATE TABLE compensation (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    employee_id text NOT NULL REFERENCES employees (id) ON DELETE CASCADE,
    valid_from date NOT NULL,
    period text NOT NULL CHECK (period IN ('hour', 'month', 'year')),
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    currency text NOT NULL CHECK (length(currency) = 3 AND currency = upper(currency)),
    note text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (employee_id, valid_from)
);
CREATE TRIGGER compensation_touch BEFORE UPDATE ON compensation FOR EACH ROW EXECUTE FUNCTION app.touch();

ALTER TABLE time_entries ENABLE ROW LEVEL SECURITY;
ALTER TABLE time_entries FORCE ROW LEVEL SECURITY;
CREATE POLICY time_entries_read ON time_entries FOR SELECT USING ((SELECT app.may('hr.read')));
CREATE POLICY time_entries_write ON time_entries FOR ALL USING ((SELECT app.may('hr.write'))) WITH CHECK ((SELECT app.may('hr.write')));
-- One clocks oneself in and out until somebody approves it.
CREATE POLICY time_entries_own_read ON time_entries FOR SELECT
    USING ((SELECT app.allowed()) AND employee_id = (SELECT app.employee_of(app.person_id())));
CREATE POLICY time_entries_own_start ON time_entries FOR INSERT
    WITH CHECK ((SELECT app.allowed()) AND employee_id = (SELECT app.employee_of(app.person_id())) AND approved_by IS NULL);
CREATE POLICY time_entries_own_change ON time_entries FOR UPDATE
    USING ((SELECT app.allowed()) AND employee_id = (SELECT app.employee_of(app.person_id())) AND approved_by IS NULL)
    WITH CHECK (employee_id = (SELECT app.employee_of(app.person_id())) AND approved_by IS NULL);

-- Pay: one's own, or with a permission of its own.
ALTER TABLE compensation ENABLE ROW LEVEL SECURITY;
ALTER TABLE compensation FORCE ROW LEVEL SECURITY;
CREATE POLICY compensation_read ON compensation FOR SELECT USING ((SELECT app.may('hr.pay')) OR ((SELECT app.allowed()) AND employee_id = (SELECT app.employee_of(app.person_id()))));
CREATE POLICY compensation_write ON compensation FOR ALL USING ((SELECT app.may('hr.pay'))) WITH CHECK ((SELECT app.may('hr.pay')));
