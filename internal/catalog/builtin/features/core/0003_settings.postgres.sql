-- One row a setting; the value is text, read as its kind says.
CREATE TABLE settings (
    key text PRIMARY KEY CHECK (length(key) > 0),
    value text NOT NULL,
    kind text NOT NULL DEFAULT 'text' CHECK (kind IN ('text', 'integer', 'boolean', 'json')),
    description text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER settings_touch BEFORE UPDATE ON settings FOR EACH ROW EXECUTE FUNCTION app.touch();

-- Rates are in basis points (1900 is 19 %), as floating point has no place in tax. A new rate is a new row: old sales keep theirs.
CREATE TABLE tax_rates (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    name text NOT NULL UNIQUE,
    rate_basis_points integer NOT NULL CHECK (rate_basis_points BETWEEN 0 AND 10000),
    is_default boolean NOT NULL DEFAULT false,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX tax_rates_one_default ON tax_rates (is_default) WHERE is_default;
CREATE TRIGGER tax_rates_touch BEFORE UPDATE ON tax_rates FOR EACH ROW EXECUTE FUNCTION app.touch();

ALTER TABLE settings ENABLE ROW LEVEL SECURITY;
ALTER TABLE settings FORCE ROW LEVEL SECURITY;
CREATE POLICY settings_read ON settings FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY settings_write ON settings FOR ALL USING ((SELECT app.may('settings.write'))) WITH CHECK ((SELECT app.may('settings.write')));
ALTER TABLE tax_rates ENABLE ROW LEVEL SECURITY;
ALTER TABLE tax_rates FORCE ROW LEVEL SECURITY;
CREATE POLICY tax_rates_read ON tax_rates FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY tax_rates_write ON tax_rates FOR ALL USING ((SELECT app.may('settings.write'))) WITH CHECK ((SELECT app.may('settings.write')));
