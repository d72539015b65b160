CREATE TABLE metrics (
    key TEXT PRIMARY KEY CHECK (length(key) > 0),
    title TEXT NOT NULL,
    description TEXT NOT NULL DEFAULT '',
    kind TEXT NOT NULL CHECK (kind IN ('count', 'money', 'quantity', 'basis_points')),
    active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE TRIGGER metrics_touch AFTER UPDATE ON metrics WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE metrics SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE key = NEW.key;
END;

-- One figure a day, so that years of history are read without touching the receipts. It is computed anew, not added to.
CREATE TABLE metric_values (
    metric_key TEXT NOT NULL REFERENCES metrics (key) ON DELETE CASCADE ON UPDATE CASCADE,
    day TEXT NOT NULL CHECK (day IS date(day)),
    dimension TEXT NOT NULL DEFAULT '', -- '' is the whole; else 'register:reg_main', 'category:…'
    value INTEGER NOT NULL,
    currency TEXT NOT NULL DEFAULT '' CHECK (length(currency) IN (0, 3)), -- of money only
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (metric_key, day, dimension, currency)
) STRICT;
CREATE INDEX metric_values_day ON metric_values (day);
CREATE TRIGGER metric_values_touch AFTER UPDATE ON metric_values WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE metric_values SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE metric_key = NEW.metric_key AND day = NEW.day AND dimension = NEW.dimension AND currency = NEW.currency;
END;
