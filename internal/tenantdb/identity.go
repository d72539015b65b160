package tenantdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// Identify writes the identity into a database that has none, or one of the same tenant and generation, whose catalog version and MAC are then
// renewed. A database that says another tenant or generation is refused (class data) and left as it is.
func (*DB) Identify(ctx context.Context, db *sql.DB, d hub.Dialect, id hub.Identity) error {
	// One statement, so that of two workers with different tenants only one can win.
	write := func() (sql.Result, error) {
		return db.ExecContext(ctx, `INSERT INTO kitshub_identity (one, tenant_id, generation, catalog_version, mac, sealed_at) VALUES (1, $1, $2, $3, $4, $5)
			ON CONFLICT (one) DO UPDATE SET catalog_version = excluded.catalog_version, mac = excluded.mac, sealed_at = excluded.sealed_at
			WHERE kitshub_identity.tenant_id = excluded.tenant_id AND kitshub_identity.generation = excluded.generation`,
			id.TenantID, id.Generation, id.CatalogVersion, id.MAC, stamp(time.Now()))
	}
	res, err := write()
	if isNoTable(err) {
		if err := furnish(ctx, db, d); err != nil {
			return fault("making the identity table", err)
		}
		res, err = write()
	}
	if err != nil {
		return fault("writing the identity", err)
	}
	n, err := res.RowsAffected()
	if err != nil || n == 1 {
		return fault("writing the identity", err)
	}
	there, _, err := readIdentity(ctx, db)
	if err != nil {
		return fault("reading the identity", err)
	}
	return wrongOwner(there, id)
}

// Reseal gives a database another identity: to is written where from stands, in every field, as when a database of a pool is handed to a
// tenant. Where to stands already nothing changes, so it may be repeated; any other identity, or none, is refused (class data) and left.
func (*DB) Reseal(ctx context.Context, db *sql.DB, _ hub.Dialect, from, to hub.Identity) error {
	// One statement, so that of two workers who reseal for different tenants only one can win.
	res, err := db.ExecContext(ctx, `UPDATE kitshub_identity SET tenant_id = $1, generation = $2, catalog_version = $3, mac = $4, sealed_at = $5
		WHERE one = 1 AND tenant_id = $6 AND generation = $7 AND catalog_version = $8 AND mac = $9`,
		to.TenantID, to.Generation, to.CatalogVersion, to.MAC, stamp(time.Now()), from.TenantID, from.Generation, from.CatalogVersion, from.MAC)
	if err != nil {
		return fault("writing the identity", err)
	}
	n, err := res.RowsAffected()
	if err != nil || n == 1 {
		return fault("writing the identity", err)
	}
	switch there, found, err := readIdentity(ctx, db); {
	case err != nil:
		return fault("reading the identity", err)
	case !found:
		return dataFault("this database has no identity, so it cannot be given to tenant %s", to.TenantID)
	case there != to:
		return wrongOwner(there, to)
	}
	return nil
}

func wrongOwner(there, want hub.Identity) error {
	return &hub.StepError{Class: hub.ClassData, Err: fmt.Errorf(
		"this database says it belongs to tenant %s, generation %d, not to %s, generation %d; nothing in it was touched: find out which place is wrong before retrying",
		there.TenantID, there.Generation, want.TenantID, want.Generation)}
}

// ReadIdentity gives the identity; found is false where there is none.
func (*DB) ReadIdentity(ctx context.Context, db *sql.DB, _ hub.Dialect) (id hub.Identity, found bool, err error) {
	id, found, err = readIdentity(ctx, db)
	return id, found, fault("reading the identity", err)
}

func readIdentity(ctx context.Context, q querier) (id hub.Identity, found bool, err error) {
	err = q.QueryRowContext(ctx, `SELECT tenant_id, generation, catalog_version, mac FROM kitshub_identity WHERE one = 1`).
		Scan(&id.TenantID, &id.Generation, &id.CatalogVersion, &id.MAC)
	if errors.Is(err, sql.ErrNoRows) || isNoTable(err) {
		return hub.Identity{}, false, nil
	}
	return id, err == nil, err
}
