CREATE TABLE pipeline_stages (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    name text NOT NULL UNIQUE CHECK (length(trim(name)) > 0),
    position integer NOT NULL UNIQUE,
    kind text NOT NULL DEFAULT 'open' CHECK (kind IN ('open', 'won', 'lost')),
    probability integer NOT NULL DEFAULT 0 CHECK (probability BETWEEN 0 AND 100), -- percent, for the forecast
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (kind = 'open' OR probability = CASE kind WHEN 'won' THEN 100 ELSE 0 END)
);
CREATE TRIGGER pipeline_stages_touch BEFORE UPDATE ON pipeline_stages FOR EACH ROW EXECUTE FUNCTION app.touch();

CREATE TABLE deals (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    title text NOT NULL CHECK (length(trim(title)) > 0),
    company_id text REFERENCES companies (id) ON DELETE RESTRICT,
    contact_id text REFERENCES contacts (id) ON DELETE SET NULL,
    stage_id text NOT NULL REFERENCES pipeline_stages (id) ON DELETE RESTRICT,
    owner_id text REFERENCES people (id) ON DELETE SET NULL,
    amount_minor bigint CHECK (amount_minor >= 0), -- NULL: not known yet
    currency text NOT NULL CHECK (length(currency) = 3 AND currency = upper(currency)),
    expected_close_on date,
    closed_at timestamptz,
    lost_reason text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX deals_stage ON deals (stage_id, expected_close_on);
CREATE INDEX deals_company ON deals (company_id);
CREATE INDEX deals_contact ON deals (contact_id);
CREATE INDEX deals_owner ON deals (owner_id) WHERE closed_at IS NULL;
CREATE TRIGGER deals_touch BEFORE UPDATE ON deals FOR EACH ROW EXECUTE FUNCTION app.touch();

ALTER TABLE pipeline_stages ENABLE ROW LEVEL SECURITY;
ALTER TABLE pipeline_stages FORCE ROW LEVEL SECURITY;
CREATE POLICY pipeline_stages_read ON pipeline_stages FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY pipeline_stages_write ON pipeline_stages FOR ALL USING ((SELECT app.may('settings.write'))) WITH CHECK ((SELECT app.may('settings.write')));
ALTER TABLE deals ENABLE ROW LEVEL SECURITY;
ALTER TABLE deals FORCE ROW LEVEL SECURITY;
CREATE POLICY deals_read ON deals FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY deals_write ON deals FOR ALL USING ((SELECT app.may('crm.write'))) WITH CHECK ((SELECT app.may('crm.write')));
