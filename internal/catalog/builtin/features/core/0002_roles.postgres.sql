CREATE TABLE roles (
    id text PRIMARY KEY CHECK (length(id) > 0), -- a word such as 'manager': programs name roles
    title text NOT NULL,
    description text NOT NULL DEFAULT '',
    built_in boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER roles_touch BEFORE UPDATE ON roles FOR EACH ROW EXECUTE FUNCTION app.touch();

-- What a role may do: 'FEATURE.ACTION', or '*' for everything. Each feature's seed adds its own.
CREATE TABLE role_permissions (
    role_id text NOT NULL REFERENCES roles (id) ON DELETE CASCADE ON UPDATE CASCADE,
    permission text NOT NULL CHECK (permission = '*' OR permission LIKE '_%._%'),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (role_id, permission)
);

CREATE TABLE person_roles (
    person_id text NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    role_id text NOT NULL REFERENCES roles (id) ON DELETE RESTRICT ON UPDATE CASCADE,
    granted_by text REFERENCES people (id) ON DELETE SET NULL,
    granted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (person_id, role_id)
);
CREATE INDEX person_roles_role ON person_roles (role_id);
CREATE INDEX person_roles_granted_by ON person_roles (granted_by);

CREATE FUNCTION app.person_holds(person text, wanted text) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        SELECT EXISTS (
            SELECT 1
            FROM public.person_roles g
            JOIN public.role_permissions p ON p.role_id = g.role_id
            JOIN public.people h ON h.id = g.person_id AND h.active
            WHERE g.person_id = person AND p.permission IN (wanted, '*')
        )
    $$;

-- Whether the session may do this. Without a person it is the company's own program, which may do everything that it was granted.
CREATE FUNCTION app.may(wanted text) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN app.allowed() AND (app.person_id() IS NULL OR app.person_holds(app.person_id(), wanted));

-- app.may reads these tables, so what guards their reading must not ask app.may. A policy FOR ALL would: it
-- is asked on reading, too. Hence one policy for each verb.
CREATE POLICY people_insert ON people FOR INSERT WITH CHECK ((SELECT app.may('people.write')));
CREATE POLICY people_update ON people FOR UPDATE USING ((SELECT app.may('people.write'))) WITH CHECK ((SELECT app.may('people.write')));
CREATE POLICY people_delete ON people FOR DELETE USING ((SELECT app.may('people.write')));

ALTER TABLE roles ENABLE ROW LEVEL SECURITY;
ALTER TABLE roles FORCE ROW LEVEL SECURITY;
CREATE POLICY roles_read ON roles FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY roles_insert ON roles FOR INSERT WITH CHECK ((SELECT app.may('people.write')));
CREATE POLICY roles_update ON roles FOR UPDATE USING ((SELECT app.may('people.write'))) WITH CHECK ((SELECT app.may('people.write')));
CREATE POLICY roles_delete ON roles FOR DELETE USING ((SELECT app.may('people.write')));

ALTER TABLE role_permissions ENABLE ROW LEVEL SECURITY;
ALTER TABLE role_permissions FORCE ROW LEVEL SECURITY;
CREATE POLICY role_permissions_read ON role_permissions FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY role_permissions_insert ON role_permissions FOR INSERT WITH CHECK ((SELECT app.may('people.write')));
CREATE POLICY role_permissions_update ON role_permissions FOR UPDATE USING ((SELECT app.may('people.write'))) WITH CHECK ((SELECT app.may('people.write')));
CREATE POLICY role_permissions_delete ON role_permissions FOR DELETE USING ((SELECT app.may('people.write')));

ALTER TABLE person_roles ENABLE ROW LEVEL SECURITY;
ALTER TABLE person_roles FORCE ROW LEVEL SECURITY;
CREATE POLICY person_roles_read ON person_roles FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY person_roles_insert ON person_roles FOR INSERT WITH CHECK ((SELECT app.may('people.write')));
CREATE POLICY person_roles_update ON person_roles FOR UPDATE USING ((SELECT app.may('people.write'))) WITH CHECK ((SELECT app.may('people.write')));
CREATE POLICY person_roles_delete ON person_roles FOR DELETE USING ((SELECT app.may('people.write')));
