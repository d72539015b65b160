CREATE TABLE metrics (
    key text PRIMARY KEY CHECK (length(key) > 0),
    title text NOT NULL,
    description text NOT NULL DEFAULT '',
    kind text NOT NULL CHECK (kind IN ('count', 'money', 'quantity', 'basis_points')),
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER metrics_touch BEFORE UPDATE ON metrics FOR EACH ROW EXECUTE FUNCTION app.touch();

-- One figure a day, so that years of history are read without touching the receipts. It is computed anew, not added to.
CREATE TABLE metric_values (
    metric_key text NOT NULL REFERENCES metrics (key) ON DELETE CASCADE ON UPDATE CASCADE,
    day date NOT NULL,
    dimension text NOT NULL DEFAULT '', -- '' is the whole; else 'register:reg_main', 'category:…'
    value bigint NOT NULL,
    currency text NOT NULL DEFAULT '' CHECK (length(currency) IN (0, 3)), -- of money only
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (metric_key, day, dimension, currency)
);
CREATE INDEX metric_values_day ON metric_values (day);
CREATE TRIGGER metric_values_touch BEFORE UPDATE ON metric_values FOR EACH ROW EXECUTE FUNCTION app.touch();

ALTER TABLE metrics ENABLE ROW LEVEL SECURITY;
ALTER TABLE metrics FORCE ROW LEVEL SECURITY;
CREATE POLICY metrics_read ON metrics FOR SELECT USING ((SELECT app.allowed()));
CREATE POLICY metrics_write ON metrics FOR ALL USING ((SELECT app.may('analytics.write'))) WITH CHECK ((SELECT app.may('analytics.write')));
ALTER TABLE metric_values ENABLE ROW LEVEL SECURITY;
ALTER TABLE metric_values FORCE ROW LEVEL SECURITY;
CREATE POLICY metric_values_read ON metric_values FOR SELECT USING ((SELECT app.may('analytics.read')));
CREATE POLICY metric_values_write ON metric_values FOR ALL USING ((SELECT app.may('analytics.write'))) WITH CHECK ((SELECT app.may('analytics.write')));
