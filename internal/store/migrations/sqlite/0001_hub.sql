-- +goose Up
CREATE TABLE customers (
    id           TEXT PRIMARY KEY,
    email        TEXT NOT NULL UNIQUE,
    company_name TEXT NOT NULL,
    contact_name TEXT NOT NULL,
    phone        TEXT NOT NULL,
    billing      TEXT NOT NULL, -- JSON
    search       TEXT NOT NULL, -- email, company and contact, lower-cased in Go: lower() of the two engines differs
    created_at   TEXT NOT NULL
) STRICT;

CREATE TABLE requests (
    id                   TEXT PRIMARY KEY,
    customer_id          TEXT NOT NULL REFERENCES customers (id),
    plan                 TEXT NOT NULL,
    features             TEXT NOT NULL, -- JSON array, in order of application
    priority             INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 2),
    way                  TEXT NOT NULL CHECK (way IN ('automatic', 'operator')),
    state                TEXT NOT NULL CHECK (state IN ('pending', 'in_progress', 'credentials_received', 'migrating', 'completed', 'failed', 'cancelled')),
    assigned_to          TEXT NOT NULL,
    tenant_id            TEXT NOT NULL,
    notes                TEXT NOT NULL,
    billing_cycle        TEXT NOT NULL,
    referral_source      TEXT NOT NULL,
    special_requirements TEXT NOT NULL,
    enqueued_at          TEXT NOT NULL,
    claimed_at           TEXT,
    credentials_at       TEXT,
    started_at           TEXT,
    finished_at          TEXT,
    updated_at           TEXT NOT NULL,
    overdue_at           TEXT,
    failure              TEXT, -- JSON
    worker               TEXT NOT NULL,
    fence                INTEGER NOT NULL,
    version              INTEGER NOT NULL,
    CHECK ((state = 'pending') = (assigned_to = '') OR state = 'cancelled')
) STRICT;

-- A customer has one live request at the most, whatever two sign-ups do at once.
CREATE UNIQUE INDEX requests_one_live ON requests (customer_id) WHERE state <> 'cancelled';
-- The line. Partial, since a planner skips an index led by the state when most rows are pending.
CREATE INDEX requests_line ON requests (priority DESC, enqueued_at, id) WHERE state = 'pending';
CREATE INDEX requests_order ON requests (priority DESC, enqueued_at, id);
CREATE INDEX requests_worked ON requests (worker) WHERE worker <> '';
CREATE INDEX requests_done ON requests (way, finished_at) WHERE state = 'completed';
CREATE INDEX requests_assigned ON requests (assigned_to, state);
CREATE INDEX requests_claimed ON requests (claimed_at) WHERE claimed_at IS NOT NULL;

CREATE TABLE request_steps (
    request_id  TEXT NOT NULL REFERENCES requests (id) ON DELETE CASCADE,
    seq         INTEGER NOT NULL,
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL,
    title       TEXT NOT NULL,
    status      TEXT NOT NULL CHECK (status IN ('pending', 'running', 'done', 'failed')),
    started_at  TEXT,
    finished_at TEXT,
    tries       INTEGER NOT NULL,
    failure     TEXT, -- JSON
    PRIMARY KEY (request_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE status_tokens (
    hash       BLOB PRIMARY KEY,
    request_id TEXT NOT NULL REFERENCES requests (id) ON DELETE CASCADE,
    created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tenants (
    id              TEXT PRIMARY KEY,
    request_id      TEXT NOT NULL UNIQUE REFERENCES requests (id),
    customer_id     TEXT NOT NULL REFERENCES customers (id),
    state           TEXT NOT NULL CHECK (state IN ('provisioning', 'active', 'suspended', 'offboarding', 'retained', 'purged', 'error')),
    provider        TEXT NOT NULL,
    place           TEXT NOT NULL,
    generation      INTEGER NOT NULL,
    catalog_version TEXT NOT NULL,
    sealed          BLOB NOT NULL,
    secret_version  INTEGER NOT NULL,
    size_bytes      INTEGER NOT NULL,
    revealed_at     TEXT,
    created_at      TEXT NOT NULL,
    ready_at        TEXT,
    version         INTEGER NOT NULL,
    UNIQUE (provider, place)
) STRICT;

CREATE TABLE operators (
    id            TEXT PRIMARY KEY,
    email         TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    role          TEXT NOT NULL CHECK (role IN ('admin', 'provisioner', 'support')),
    password_hash TEXT NOT NULL,
    created_at    TEXT NOT NULL,
    disabled_at   TEXT
) STRICT;

CREATE TABLE sessions (
    hash        BLOB PRIMARY KEY,
    operator_id TEXT NOT NULL REFERENCES operators (id) ON DELETE CASCADE,
    created_at  TEXT NOT NULL,
    seen_at     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_tokens (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    role       TEXT NOT NULL CHECK (role IN ('admin', 'provisioner', 'support')),
    scopes     TEXT NOT NULL, -- JSON array
    hash       BLOB NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    created_by TEXT NOT NULL,
    revoked_at TEXT
) STRICT;

CREATE TABLE setup_tokens (
    hash       BLOB PRIMARY KEY,
    expires_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_entries (
    id         TEXT PRIMARY KEY,
    at         TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id   TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    action     TEXT NOT NULL,
    target     TEXT NOT NULL,
    detail     TEXT NOT NULL, -- JSON
    call_id    TEXT NOT NULL
) STRICT;
CREATE INDEX audit_target ON audit_entries (target, id);

CREATE TABLE operations (
    id          TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,
    target      TEXT NOT NULL,
    error       TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    finished_at TEXT
) STRICT;
CREATE INDEX operations_target ON operations (target);

CREATE TABLE receipts (
    principal  TEXT NOT NULL,
    route      TEXT NOT NULL,
    key_hash   BLOB NOT NULL,
    body_hash  BLOB NOT NULL,
    instance   TEXT NOT NULL,
    status     INTEGER NOT NULL,
    sealed     BLOB,
    created_at TEXT NOT NULL,
    PRIMARY KEY (principal, route, key_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX receipts_age ON receipts (created_at);

CREATE TABLE instances (
    id      TEXT PRIMARY KEY,
    home    TEXT NOT NULL,
    workers INTEGER NOT NULL,
    beat_at TEXT NOT NULL
) STRICT;

CREATE TABLE keyrings (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    sealed     BLOB NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

-- +goose Down
DROP TABLE keyrings;
DROP TABLE instances;
DROP TABLE receipts;
DROP TABLE operations;
DROP TABLE audit_entries;
DROP TABLE setup_tokens;
DROP TABLE api_tokens;
DROP TABLE sessions;
DROP TABLE operators;
DROP TABLE tenants;
DROP TABLE status_tokens;
DROP TABLE request_steps;
DROP TABLE requests;
DROP TABLE customers;
