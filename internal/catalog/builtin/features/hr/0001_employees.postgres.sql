CREATE TABLE departments (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    name text NOT NULL UNIQUE CHECK (length(trim(name)) > 0),
    parent_id text REFERENCES departments (id) ON DELETE RESTRICT,
    head_id text REFERENCES people (id) ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (parent_id <> id)
);
CREATE INDEX departments_parent ON departments (parent_id);
CREATE INDEX departments_head ON departments (head_id);
CREATE TRIGGER departments_touch BEFORE UPDATE ON departments FOR EACH ROW EXECUTE FUNCTION app.touch();

-- The employment of a person; people who use the system need not be employees.
CREATE TABLE employees (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    person_id text NOT NULL UNIQUE REFERENCES people (id) ON DELETE RESTRICT,
    number text NOT NULL UNIQUE,
    department_id text REFERENCES departments (id) ON DELETE SET NULL,
    manager_id text REFERENCES employees (id) ON DELETE SET NULL,
    job_title text NOT NULL DEFAULT '',
    employment text NOT NULL DEFAULT 'permanent' CHECK (employment IN ('permanent', 'fixed_term', 'casual', 'apprentice', 'contractor')),
    hired_on date NOT NULL,
    ended_on date,
    weekly_minutes integer NOT NULL DEFAULT 2400 CHECK (weekly_minutes BETWEEN 0 AND 10080), -- 2400 is 40 hours
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (ended_on >= hired_on),
    CHECK (manager_id <> id)
);
CREATE INDEX employees_department ON employees (department_id);
CREATE INDEX employees_manager ON employees (manager_id);
CREATE TRIGGER employees_touch BEFORE UPDATE ON employees FOR EACH ROW EXECUTE FUNCTION app.touch();

-- The employee that the session's person is, for the rules "one's own".
CREATE FUNCTION app.employee_of(person text) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
    AS $$ SELECT id FROM public.employees WHERE person_id = person $$;

ALTER TABLE departments ENABLE ROW LEVEL SECURITY;
ALTER TABLE departments FORCE ROW LEVEL SECURITY;
CREATE POLICY departments_read ON departments FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY departments_write ON departments FOR ALL USING ((SELECT app.may('hr.write'))) WITH CHECK ((SELECT app.may('hr.write')));
ALTER TABLE employees ENABLE ROW LEVEL SECURITY;
ALTER TABLE employees FORCE ROW LEVEL SECURITY;
CREATE POLICY employees_read ON employees FOR SELECT USING ((SELECT app.may('hr.read')) OR ((SELECT app.allowed()) AND person_id = (SELECT app.person_id())));
CREATE POLICY employees_write ON employees FOR ALL USING ((SELECT app.may('hr.write'))) WITH CHECK ((SELECT app.may('hr.write')));
