-- +goose Up
CREATE TABLE customers (
    id           TEXT COLLATE "C" PRIMARY KEY,
    email        TEXT COLLATE "C" NOT NULL UNIQUE,
    company_name TEXT COLLATE "C" NOT NULL,
    contact_name TEXT COLLATE "C" NOT NULL,
    phone        TEXT COLLATE "C" NOT NULL,
    billing      TEXT COLLATE "C" NOT NULL, -- JSON
    search       TEXT COLLATE "C" NOT NULL, -- email, company and contact, lower-cased in Go: lower() of the two engines differs
    created_at   TEXT COLLATE "C" NOT NULL
);

CREATE TABLE requests (
    id                   TEXT COLLATE "C" PRIMARY KEY,
    customer_id          TEXT COLLATE "C" NOT NULL REFERENCES customers (id),
    plan                 TEXT COLLATE "C" NOT NULL,
    features             TEXT COLLATE "C" NOT NULL, -- JSON array, in order of application
    priority             BIGINT NOT NULL CHECK (priority BETWEEN 0 AND 2),
    way                  TEXT COLLATE "C" NOT NULL CHECK (way IN ('automatic', 'operator')),
    state                TEXT COLLATE "C" NOT NULL CHECK (state IN ('pending', 'in_progress', 'credentials_received', 'migrating', 'completed', 'failed', 'cancelled')),
    assigned_to          TEXT COLLATE "C" NOT NULL,
    tenant_id            TEXT COLLATE "C" NOT NULL,
    notes                TEXT COLLATE "C" NOT NULL,
    billing_cycle        TEXT COLLATE "C" NOT NULL,
    referral_source      TEXT COLLATE "C" NOT NULL,
    special_requirements TEXT COLLATE "C" NOT NULL,
    enqueued_at          TEXT COLLATE "C" NOT NULL,
    claimed_at           TEXT COLLATE "C",
    credentials_at       TEXT COLLATE "C",
    started_at           TEXT COLLATE "C",
    finished_at          TEXT COLLATE "C",
    updated_at           TEXT COLLATE "C" NOT NULL,
    overdue_at           TEXT COLLATE "C",
    failure              TEXT COLLATE "C", -- JSON
    worker               TEXT COLLATE "C" NOT NULL,
    fence                BIGINT NOT NULL,
    version              BIGINT NOT NULL,
    CHECK ((state = 'pending') = (assigned_to = '') OR state = 'cancelled')
);

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
    request_id  TEXT COLLATE "C" NOT NULL REFERENCES requests (id) ON DELETE CASCADE,
    seq         BIGINT NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    title       TEXT COLLATE "C" NOT NULL,
    status      TEXT COLLATE "C" NOT NULL CHECK (status IN ('pending', 'running', 'done', 'failed')),
    started_at  TEXT COLLATE "C",
    finished_at TEXT COLLATE "C",
    tries       BIGINT NOT NULL,
    failure     TEXT COLLATE "C", -- JSON
    PRIMARY KEY (request_id, seq)
);

CREATE TABLE status_tokens (
    hash       BYTEA PRIMARY KEY,
    request_id TEXT COLLATE "C" NOT NULL REFERENCES requests (id) ON DELETE CASCADE,
    created_at TEXT COLLATE "C" NOT NULL
);

CREATE TABLE tenants (
    id              TEXT COLLATE "C" PRIMARY KEY,
    request_id      TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES requests (id),
    customer_id     TEXT COLLATE "C" NOT NULL REFERENCES customers (id),
    state           TEXT COLLATE "C" NOT NULL CHECK (state IN ('provisioning', 'active', 'suspended', 'offboarding', 'retained', 'purged', 'error')),
    provider        TEXT COLLATE "C" NOT NULL,
    place           TEXT COLLATE "C" NOT NULL,
    generation      BIGINT NOT NULL,
    catalog_version TEXT COLLATE "C" NOT NULL,
    sealed          BYTEA NOT NULL,
    secret_version  BIGINT NOT NULL,
    size_bytes      BIGINT NOT NULL,
    revealed_at     TEXT COLLATE "C",
    created_at      TEXT COLLATE "C" NOT NULL,
    ready_at        TEXT COLLATE "C",
    version         BIGINT NOT NULL,
    UNIQUE (provider, place)
);

CREATE TABLE operators (
    id            TEXT COLLATE "C" PRIMARY KEY,
    email         TEXT COLLATE "C" NOT NULL UNIQUE,
    name          TEXT COLLATE "C" NOT NULL,
    role          TEXT COLLATE "C" NOT NULL CHECK (role IN ('admin', 'provisioner', 'support')),
    password_hash TEXT COLLATE "C" NOT NULL,
    created_at    TEXT COLLATE "C" NOT NULL,
    disabled_at   TEXT COLLATE "C"
);

CREATE TABLE sessions (
    hash        BYTEA PRIMARY KEY,
    operator_id TEXT COLLATE "C" NOT NULL REFERENCES operators (id) ON DELETE CASCADE,
    created_at  TEXT COLLATE "C" NOT NULL,
    seen_at     TEXT COLLATE "C" NOT NULL
);

CREATE TABLE api_tokens (
    id         TEXT COLLATE "C" PRIMARY KEY,
    name       TEXT COLLATE "C" NOT NULL,
    role       TEXT COLLATE "C" NOT NULL CHECK (role IN ('admin', 'provisioner', 'support')),
    scopes     TEXT COLLATE "C" NOT NULL, -- JSON array
    hash       BYTEA NOT NULL UNIQUE,
    created_at TEXT COLLATE "C" NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    revoked_at TEXT COLLATE "C"
);

CREATE TABLE setup_tokens (
    hash       BYTEA PRIMARY KEY,
    expires_at TEXT COLLATE "C" NOT NULL
);

CREATE TABLE audit_entries (
    id         TEXT COLLATE "C" PRIMARY KEY,
    at         TEXT COLLATE "C" NOT NULL,
    actor_kind TEXT COLLATE "C" NOT NULL,
    actor_id   TEXT COLLATE "C" NOT NULL,
    actor_name TEXT COLLATE "C" NOT NULL,
    action     TEXT COLLATE "C" NOT NULL,
    target     TEXT COLLATE "C" NOT NULL,
    detail     TEXT COLLATE "C" NOT NULL, -- JSON
    call_id    TEXT COLLATE "C" NOT NULL
);
CREATE INDEX audit_target ON audit_entries (target, id);

CREATE TABLE operations (
    id          TEXT COLLATE "C" PRIMARY KEY,
    kind        TEXT COLLATE "C" NOT NULL,
    target      TEXT COLLATE "C" NOT NULL,
    error       TEXT COLLATE "C" NOT NULL,
    created_at  TEXT COLLATE "C" NOT NULL,
    finished_at TEXT COLLATE "C"
);
CREATE INDEX operations_target ON operations (target);

CREATE TABLE receipts (
    principal  TEXT COLLATE "C" NOT NULL,
    route      TEXT COLLATE "C" NOT NULL,
    key_hash   BYTEA NOT NULL,
    body_hash  BYTEA NOT NULL,
    instance   TEXT COLLATE "C" NOT NULL,
    status     BIGINT NOT NULL,
    sealed     BYTEA,
    created_at TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (principal, route, key_hash)
);
CREATE INDEX receipts_age ON receipts (created_at);

CREATE TABLE instances (
    id      TEXT COLLATE "C" PRIMARY KEY,
    home    TEXT COLLATE "C" NOT NULL,
    workers BIGINT NOT NULL,
    beat_at TEXT COLLATE "C" NOT NULL
);

CREATE TABLE keyrings (
    id         BIGINT PRIMARY KEY CHECK (id = 1),
    sealed     BYTEA NOT NULL,
    created_at TEXT COLLATE "C" NOT NULL
);

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
