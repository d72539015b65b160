CREATE TABLE registers (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    name text NOT NULL UNIQUE CHECK (length(trim(name)) > 0),
    location_id text NOT NULL REFERENCES locations (id) ON DELETE RESTRICT, -- whose stock it sells
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX registers_location ON registers (location_id);
CREATE TRIGGER registers_touch BEFORE UPDATE ON registers FOR EACH ROW EXECUTE FUNCTION app.touch();

-- From opening the drawer to counting it.
CREATE TABLE register_shifts (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    register_id text NOT NULL REFERENCES registers (id) ON DELETE RESTRICT,
    opened_by text NOT NULL REFERENCES people (id) ON DELETE RESTRICT,
    opened_at timestamptz NOT NULL,
    opening_minor bigint NOT NULL DEFAULT 0 CHECK (opening_minor >= 0), -- cash in the drawer at the start
    closed_by text REFERENCES people (id) ON DELETE RESTRICT,
    closed_at timestamptz,
    counted_minor bigint CHECK (counted_minor >= 0), -- cash counted at the end
    currency text NOT NULL CHECK (length(currency) = 3 AND currency = upper(currency)),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (closed_at >= opened_at),
    -- Open, or closed whole: by whom, when and with how much.
    CHECK ((closed_at IS NULL) = (closed_by IS NULL) AND (closed_at IS NULL) = (counted_minor IS NULL))
);
CREATE UNIQUE INDEX register_shifts_one_open ON register_shifts (register_id) WHERE closed_at IS NULL;
CREATE INDEX register_shifts_register ON register_shifts (register_id, opened_at);
CREATE INDEX register_shifts_opened_by ON register_shifts (opened_by);
CREATE INDEX register_shifts_closed_by ON register_shifts (closed_by);
CREATE TRIGGER register_shifts_touch BEFORE UPDATE ON register_shifts FOR EACH ROW EXECUTE FUNCTION app.touch();

ALTER TABLE registers ENABLE ROW LEVEL SECURITY;
ALTER TABLE registers FORCE ROW LEVEL SECURITY;
CREATE POLICY registers_read ON registers FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY registers_write ON registers FOR ALL USING ((SELECT app.may('settings.write'))) WITH CHECK ((SELECT app.may('settings.write')));
ALTER TABLE register_shifts ENABLE ROW LEVEL SECURITY;
ALTER TABLE register_shifts FORCE ROW LEVEL SECURITY;
CREATE POLICY register_shifts_read ON register_shifts FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY register_shifts_write ON register_shifts FOR ALL USING ((SELECT app.may('pos.write'))) WITH CHECK ((SELECT app.may('pos.write')));
