-- +goose Up
-- The warm pool: databases that are made before anybody asks for one. A row is written before its database is made, and goes when the database
-- is given to a tenant (in the transaction that writes the tenant) or is known to be gone.
CREATE TABLE pool_members (
    id              TEXT COLLATE "C" PRIMARY KEY,
    provider        TEXT COLLATE "C" NOT NULL,
    plan            TEXT COLLATE "C" NOT NULL,
    slot            BIGINT NOT NULL,
    content_key     TEXT COLLATE "C" NOT NULL,
    catalog_version TEXT COLLATE "C" NOT NULL,
    state           TEXT COLLATE "C" NOT NULL CHECK (state IN ('preparing', 'ready', 'discarding')),
    place           TEXT COLLATE "C" NOT NULL,
    generation      BIGINT NOT NULL,
    sealed          BYTEA NOT NULL,
    secret_version  BIGINT NOT NULL,
    worker          TEXT COLLATE "C" NOT NULL,
    fence           BIGINT NOT NULL,
    failure         TEXT COLLATE "C", -- JSON
    policy_at       TEXT COLLATE "C" NOT NULL, -- when the hub that made it took up its catalog and settings: what a later one wants stands
    created_at      TEXT COLLATE "C" NOT NULL,
    ready_at        TEXT COLLATE "C",
    UNIQUE (provider, place)
);
-- A plan's pool has so many slots and one member in each, however many hubs fill it.
CREATE UNIQUE INDEX pool_members_slot ON pool_members (provider, plan, slot) WHERE state <> 'discarding';
CREATE INDEX pool_members_ready ON pool_members (provider, content_key, ready_at, id) WHERE state = 'ready';
-- The member whose database this tenant took, until the database bears the tenant's own seal.
ALTER TABLE tenants ADD COLUMN member TEXT COLLATE "C" NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE tenants DROP COLUMN member;
DROP TABLE pool_members;
