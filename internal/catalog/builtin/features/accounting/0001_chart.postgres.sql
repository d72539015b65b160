CREATE TABLE accounts (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    code text NOT NULL UNIQUE CHECK (length(trim(code)) > 0),
    name text NOT NULL CHECK (length(trim(name)) > 0),
    kind text NOT NULL CHECK (kind IN ('asset', 'liability', 'equity', 'income', 'expense')),
    parent_id text REFERENCES accounts (id) ON DELETE RESTRICT,
    active boolean NOT NULL DEFAULT true, -- accounts with entries are closed, not deleted
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (parent_id <> id)
);
CREATE INDEX accounts_parent ON accounts (parent_id);
CREATE INDEX accounts_kind ON accounts (kind, code);
CREATE TRIGGER accounts_touch BEFORE UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION app.touch();

CREATE TABLE fiscal_periods (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    name text NOT NULL UNIQUE,
    first_day date NOT NULL,
    last_day date NOT NULL,
    closed_at timestamptz, -- from then on nothing is posted into it
    closed_by text REFERENCES people (id) ON DELETE RESTRICT,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (last_day >= first_day),
    CHECK ((closed_at IS NULL) = (closed_by IS NULL))
);
CREATE UNIQUE INDEX fiscal_periods_first_day ON fiscal_periods (first_day);
CREATE INDEX fiscal_periods_closed_by ON fiscal_periods (closed_by);
CREATE TRIGGER fiscal_periods_touch BEFORE UPDATE ON fiscal_periods FOR EACH ROW EXECUTE FUNCTION app.touch();

ALTER TABLE accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE accounts FORCE ROW LEVEL SECURITY;
CREATE POLICY accounts_read ON accounts FOR SELECT USING ((SELECT app.may('accounting.read')));
CREATE POLICY accounts_write ON accounts FOR ALL USING ((SELECT app.may('accounting.write'))) WITH CHECK ((SELECT app.may('accounting.write')));
ALTER TABLE fiscal_periods ENABLE ROW LEVEL SECURITY;
ALTER TABLE fiscal_periods FORCE ROW LEVEL SECURITY;
CREATE POLICY fiscal_periods_read ON fiscal_periods FOR SELECT USING ((SELECT app.may('accounting.read')));
CREATE POLICY fiscal_periods_write ON fiscal_periods FOR ALL USING ((SELECT app.may('accounting.write'))) WITH CHECK ((SELECT app.may('accounting.write')));
