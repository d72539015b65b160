package store

import (
	"context"

	"github.com/kitshub/kitshub/internal/hub"
)

const tenantSelect = `
	SELECT r.id, r.request_id, r.customer_id, r.state, r.provider, r.place, r.generation, r.catalog_version, r.sealed, r.secret_version,
	       r.size_bytes, r.revealed_at, r.created_at, r.ready_at, r.version, r.member, c.email, c.company_name, c.contact_name, q.plan
	FROM tenants r JOIN customers c ON c.id = r.customer_id JOIN requests q ON q.id = r.request_id`

func scanTenant(row interface{ Scan(...any) error }) (*hub.Tenant, error) {
	var n hub.Tenant
	err := row.Scan(&n.ID, &n.RequestID, &n.CustomerID, &n.State, &n.Backend.Provider, &n.Backend.Place, &n.Backend.Generation,
		&n.CatalogVersion, &n.Sealed, &n.SecretVersion, &n.SizeBytes, scanTimeOrNull{&n.RevealedAt}, scanTime{&n.CreatedAt},
		scanTimeOrNull{&n.ReadyAt}, &n.Version, &n.Member, &n.Customer.Email, &n.Customer.CompanyName, &n.Customer.ContactName, &n.Plan)
	n.Backend.TenantID = n.ID
	return &n, err
}

// InsertTenant implements hub.TenantStore.
func (t *Tx) InsertTenant(ctx context.Context, n *hub.Tenant) error {
	n.Version = 1
	_, err := t.tx.ExecContext(ctx, `
		INSERT INTO tenants (id, request_id, customer_id, state, provider, place, generation, catalog_version, sealed, secret_version,
			size_bytes, revealed_at, created_at, ready_at, version, member)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		n.ID, n.RequestID, n.CustomerID, string(n.State), n.Backend.Provider, n.Backend.Place, n.Backend.Generation, n.CatalogVersion,
		n.Sealed, n.SecretVersion, n.SizeBytes, stampOrNull(n.RevealedAt), stamp(n.CreatedAt), stampOrNull(n.ReadyAt), n.Version, n.Member)
	if isUnique(err) { // ids are random, and a request gets its tenant under its lock: it can only be the place
		return hub.ErrPlaceTaken
	}
	return err
}

// Tenant implements hub.TenantStore.
func (t *Tx) Tenant(ctx context.Context, id string) (*hub.Tenant, error) {
	n, err := scanTenant(t.tx.QueryRowContext(ctx, tenantSelect+` WHERE r.id = $1`, id))
	return n, orNotFound(err, "tenant", id)
}

// LockTenant implements hub.TenantStore.
func (t *Tx) LockTenant(ctx context.Context, id string) (*hub.Tenant, error) {
	n, err := scanTenant(t.tx.QueryRowContext(ctx, tenantSelect+` WHERE r.id = $1`+t.d.lockRow, id))
	return n, orNotFound(err, "tenant", id)
}

// UpdateTenant implements hub.TenantStore.
func (t *Tx) UpdateTenant(ctx context.Context, n *hub.Tenant) error {
	err := changedOne(t.tx.ExecContext(ctx, `
		UPDATE tenants SET state = $3, generation = $4, catalog_version = $5, sealed = $6, secret_version = $7, size_bytes = $8,
			revealed_at = $9, ready_at = $10, member = $11, place = $12, version = version + 1
		WHERE id = $1 AND version = $2`,
		n.ID, n.Version, string(n.State), n.Backend.Generation, n.CatalogVersion, n.Sealed, n.SecretVersion, n.SizeBytes,
		stampOrNull(n.RevealedAt), stampOrNull(n.ReadyAt), n.Member, n.Backend.Place))
	if err == nil {
		n.Version++
	}
	return err
}

// ListTenants implements hub.TenantStore.
func (t *Tx) ListTenants(ctx context.Context, f hub.TenantFilter) ([]*hub.Tenant, error) {
	var w where
	w.equal("r.state", string(f.State))
	if f.After != "" {
		w.text("r.id > $%d", f.After)
	}
	rows, err := t.tx.QueryContext(ctx, tenantSelect+w.String()+` ORDER BY r.id`+limit(f.Limit), w.args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanTenant)
}
