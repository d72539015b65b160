package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

const memberColumns = `r.id, r.provider, r.plan, r.slot, r.content_key, r.catalog_version, r.state, r.place, r.generation, r.sealed, r.secret_version,
	r.worker, r.fence, r.failure, r.policy_at, r.created_at, r.ready_at`

const memberSelect = `SELECT ` + memberColumns + ` FROM pool_members r`

func scanMember(row interface{ Scan(...any) error }) (*hub.Member, error) {
	var m hub.Member
	err := row.Scan(&m.ID, &m.Backend.Provider, &m.Plan, &m.Slot, &m.Key, &m.CatalogVersion, &m.State, &m.Backend.Place, &m.Backend.Generation,
		&m.Sealed, &m.SecretVersion, &m.Worker, &m.Fence, scanJSON{&m.Failure}, scanTime{&m.PolicyAt}, scanTime{&m.CreatedAt}, scanTimeOrNull{&m.ReadyAt})
	m.Backend.TenantID = m.ID
	return &m, err
}

// InsertMember implements hub.PoolStore.
func (t *Tx) InsertMember(ctx context.Context, m *hub.Member) (bool, error) {
	res, err := t.tx.ExecContext(ctx, `
		INSERT INTO pool_members (id, provider, plan, slot, content_key, catalog_version, state, place, generation, sealed, secret_version,
			worker, fence, failure, policy_at, created_at, ready_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
		ON CONFLICT (provider, plan, slot) WHERE state <> 'discarding' DO NOTHING`,
		m.ID, m.Backend.Provider, m.Plan, m.Slot, m.Key, m.CatalogVersion, string(m.State), m.Backend.Place, m.Backend.Generation, m.Sealed,
		m.SecretVersion, m.Worker, m.Fence, asJSON{m.Failure}, stamp(m.PolicyAt), stamp(m.CreatedAt), stampOrNull(m.ReadyAt))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// Member implements hub.PoolStore.
func (t *Tx) Member(ctx context.Context, id string) (*hub.Member, error) {
	m, err := scanMember(t.tx.QueryRowContext(ctx, memberSelect+` WHERE r.id = $1`, id))
	return m, orNotFound(err, "pool member", id)
}

// LockMember implements hub.PoolStore.
func (t *Tx) LockMember(ctx context.Context, id string) (*hub.Member, error) {
	m, err := scanMember(t.tx.QueryRowContext(ctx, memberSelect+` WHERE r.id = $1`+t.d.lockRow, id))
	return m, orNotFound(err, "pool member", id)
}

// LockReadyMember implements hub.PoolStore.
func (t *Tx) LockReadyMember(ctx context.Context, provider string, parts []string, key, catalogVersion string) (*hub.Member, bool, error) {
	w := where{parts: []string{`r.state = 'ready'`}}
	w.add("r.provider = $%d", provider)
	w.add("r.content_key = $%d", key)
	w.add("r.catalog_version = $%d", catalogVersion)
	w.begins("r.place", parts)
	m, err := scanMember(t.tx.QueryRowContext(ctx, memberSelect+w.String()+` ORDER BY r.ready_at, r.id LIMIT 1`+t.d.lockFree, w.args...))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	return m, err == nil, err
}

// UpdateMember implements hub.PoolStore.
func (t *Tx) UpdateMember(ctx context.Context, m *hub.Member) error {
	return changedOne(t.tx.ExecContext(ctx, `
		UPDATE pool_members SET content_key = $2, catalog_version = $3, state = $4, worker = $5, fence = $6, failure = $7, policy_at = $8, ready_at = $9 WHERE id = $1`,
		m.ID, m.Key, m.CatalogVersion, string(m.State), m.Worker, m.Fence, asJSON{m.Failure}, stamp(m.PolicyAt),
		stampOrNull(m.ReadyAt)))
}

// DeleteMember implements hub.PoolStore.
func (t *Tx) DeleteMember(ctx context.Context, id string) error {
	return changedOne(t.tx.ExecContext(ctx, `DELETE FROM pool_members WHERE id = $1`, id))
}

// ListMembers implements hub.PoolStore.
func (t *Tx) ListMembers(ctx context.Context) ([]*hub.Member, error) {
	rows, err := t.tx.QueryContext(ctx, memberSelect+` ORDER BY r.plan, r.slot, r.id`)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanMember)
}

// CountMembers implements hub.PoolStore.
func (t *Tx) CountMembers(ctx context.Context) ([]hub.PoolDepth, error) {
	rows, err := t.tx.QueryContext(ctx, `
		SELECT plan, count(*) FILTER (WHERE state = 'ready'), count(*) FILTER (WHERE state = 'preparing') FROM pool_members GROUP BY plan ORDER BY plan`)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row interface{ Scan(...any) error }) (hub.PoolDepth, error) {
		var d hub.PoolDepth
		err := row.Scan(&d.Plan, &d.Ready, &d.Preparing)
		return d, err
	})
}

// FeatureSetsSince implements hub.PoolStore.
func (t *Tx) FeatureSetsSince(ctx context.Context, since time.Time) ([][]string, error) {
	rows, err := t.tx.QueryContext(ctx, `
		SELECT features FROM requests WHERE state IN ('in_progress', 'credentials_received', 'migrating')
		UNION SELECT features FROM requests WHERE finished_at >= $1
		UNION SELECT features FROM requests WHERE state = 'pending'`, stamp(since))
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row interface{ Scan(...any) error }) (f []string, err error) {
		err = row.Scan(scanJSON{&f})
		return f, err
	})
}
