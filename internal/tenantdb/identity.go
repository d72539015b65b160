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
	if err := furnish(ctx, db, d); err != nil {
		return fault("making the identity table", err)
	}
	// One statement, so that of two workers with different tenants only one can win.
	res, err := db.ExecContext(ctx, `INSERT INTO kitshub_identity (one, tenant_id, generation, catalog_version, mac, sealed_at) VALUES (1, $1, $2, $3, $4, $5)
		ON CONFLICT (one) DO UPDATE SET catalog_version = excluded.catalog_version, mac = excluded.mac, sealed_at = excluded.sealed_at
		WHERE kitshub_identity.tenant_id = excluded.tenant_id AND kitshub_identity.generation = excluded.generation`,
		id.TenantID, id.Generation, id.CatalogVersion, id.MAC, stamp(time.Now()))
	if err != nil {
		return fault("writing the identity", err)
	}
	n, err := res.RowsAffected()
	if err != nil || n == 1 {
		return fault("writing the identity", err)
	}
	there, _, err := readIdentity(ctx, db, d)
	if err != nil {
		return fault("reading the identity", err)
	}
	return wrongOwner(there, id)
}

func wrongOwner(there, want hub.Identity) error {
	return &hub.StepError{Class: hub.ClassData, Err: fmt.Errorf(
		"this database says it belongs to tenant %s, generation %d, not to %s, generation %d; nothing in it was touched: find out which place is wrong before retrying",
		there.TenantID, there.Generation, want.TenantID, want.Generation)}
}

// ReadIdentity gives the identity; found is false where there is none.
func (*DB) ReadIdentity(ctx context.Context, db *sql.DB, d hub.Dialect) (id hub.Identity, found bool, err error) {
	id, found, err = readIdentity(ctx, db, d)
	return id, found, fault("reading the identity", err)
}

func readIdentity(ctx context.Context, q querier, d hub.Dialect) (id hub.Identity, found bool, err error) {
	if there, err := hasTable(ctx, q, d, "kitshub_identity"); err != nil || !there {
		return id, false, err
	}
	err = q.QueryRowContext(ctx, `SELECT tenant_id, generation, catalog_version, mac FROM kitshub_identity WHERE one = 1`).
		Scan(&id.TenantID, &id.Generation, &id.CatalogVersion, &id.MAC)
	if errors.Is(err, sql.ErrNoRows) {
		return hub.Identity{}, false, nil
	}
	return id, err == nil, err
}
