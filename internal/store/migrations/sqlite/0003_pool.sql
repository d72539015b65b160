-- +goose Up
-- The warm pool: databases that are made before anybody asks for one. A row is written before its database is made, and goes when the database
-- is given to a tenant (in the transaction that writes the tenant) or is known to be gone.
CREATE TABLE pool_members (
    id              TEXT PRIMARY KEY,
    provider        TEXT NOT NULL,
    plan            TEXT NOT NULL,
    slot            INTEGER NOT NULL,
    content_key     TEXT NOT NULL,
    catalog_version TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('preparing', 'ready', 'discarding')),
    place           TEXT NOT NULL,
    generation      INTEGER NOT NULL,
    sealed          BLOB NOT NULL,
    secret_version  INTEGER NOT NULL,
    worker          TEXT NOT NULL,
    fence           INTEGER NOT NULL,
    failure         TEXT, -- JSON
    policy_at       TEXT NOT NULL, -- when the hub that made it took up its catalog and settings: what a later one wants stands
    created_at      TEXT NOT NULL,
    ready_at        TEXT,
    UNIQUE (provider, place)
) STRICT;
-- A plan's pool has so many slots and one member in each, however many hubs fill it.
CREATE UNIQUE INDEX pool_members_slot ON pool_members (provider, plan, slot) WHERE state <> 'discarding';
CREATE INDEX pool_members_ready ON pool_members (provider, content_key, ready_at, id) WHERE state = 'ready';
-- The member whose database this tenant took, until the database bears the tenant's own seal.
ALTER TABLE tenants ADD COLUMN member TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE tenants DROP COLUMN member;
DROP TABLE pool_members;
