package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/forecast"
	"github.com/kitshub/kitshub/internal/hub"
)

// InsertCustomer implements hub.RequestStore.
func (t *Tx) InsertCustomer(ctx context.Context, c *hub.Customer) error {
	_, err := t.tx.ExecContext(ctx, `
		INSERT INTO customers (id, email, company_name, contact_name, phone, billing, search, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		c.ID, c.Email, c.CompanyName, c.ContactName, c.Phone, asJSON{c.Billing},
		searchText(c), stamp(c.CreatedAt))
	if isUnique(err) {
		return hub.CustomerExists()
	}
	return err
}

// UpdateCustomer implements hub.RequestStore.
func (t *Tx) UpdateCustomer(ctx context.Context, c *hub.Customer) error {
	return changedOne(t.tx.ExecContext(ctx, `
		UPDATE customers SET company_name = $2, contact_name = $3, phone = $4, billing = $5, search = $6 WHERE id = $1`,
		c.ID, c.CompanyName, c.ContactName, c.Phone, asJSON{c.Billing}, searchText(c)))
}

// searchText is what a listing's search looks in.
func searchText(c *hub.Customer) string {
	return strings.ToLower(c.Email + "\n" + c.CompanyName + "\n" + c.ContactName)
}

// CustomerByEmail implements hub.RequestStore.
func (t *Tx) CustomerByEmail(ctx context.Context, email string) (*hub.Customer, error) {
	var c hub.Customer
	err := t.tx.QueryRowContext(ctx, `
		SELECT id, email, company_name, contact_name, phone, billing, created_at FROM customers WHERE email = $1`, email).
		Scan(&c.ID, &c.Email, &c.CompanyName, &c.ContactName, &c.Phone, scanJSON{&c.Billing}, scanTime{&c.CreatedAt})
	return &c, orNotFound(err, "customer", email)
}

// requestSelect looks the assignee's name up in a subquery, not a join: who waited for the row's lock on Postgres gets the row as it is now,
// but joined with what it fitted before.
const requestSelect = `
	SELECT r.id, r.customer_id, r.plan, r.features, r.priority, r.way, r.state, r.assigned_to, r.tenant_id, r.notes, r.billing_cycle,
	       r.referral_source, r.special_requirements, r.enqueued_at, r.claimed_at, r.credentials_at, r.started_at, r.finished_at,
	       r.updated_at, r.overdue_at, r.failure, r.worker, r.fence, r.version, r.first_basis, r.first_ahead,
	       r.first_busy, r.first_p50_ms, r.first_p90_ms, r.first_ready_p50_ms, r.first_ready_p90_ms, r.waited_ms, r.ready_ms, r.raised_at, c.email, c.company_name, c.contact_name,
	       coalesce((SELECT o.name FROM operators o WHERE o.id = r.assigned_to), (SELECT a.name FROM api_tokens a WHERE a.id = r.assigned_to), '')
	FROM requests r JOIN customers c ON c.id = r.customer_id`

// lineOrder is the total order of the line.
const lineOrder = ` ORDER BY r.priority DESC, r.enqueued_at, r.id`

func scanRequest(row interface{ Scan(...any) error }) (*hub.Request, error) {
	var r hub.Request
	var f firstRow
	err := row.Scan(&r.ID, &r.CustomerID, &r.Plan, scanJSON{&r.Features}, &r.Priority, &r.Way, &r.State, &r.AssignedTo, &r.TenantID, &r.Notes,
		&r.BillingCycle, &r.ReferralSource, &r.SpecialRequirements, scanTime{&r.EnqueuedAt}, scanTimeOrNull{&r.ClaimedAt},
		scanTimeOrNull{&r.CredentialsAt}, scanTimeOrNull{&r.StartedAt}, scanTimeOrNull{&r.FinishedAt}, scanTime{&r.UpdatedAt},
		scanTimeOrNull{&r.OverdueAt}, scanJSON{&r.Failure}, &r.Worker, &r.Fence, &r.Version, &f.basis, &f.ahead, &f.busy, &f.p50, &f.p90,
		&f.readyP50, &f.readyP90, &r.WaitedMS, &r.ReadyMS, scanTimeOrNull{&r.RaisedAt}, &r.Customer.Email, &r.Customer.CompanyName, &r.Customer.ContactName, &r.AssigneeName)
	r.First = f.forecast()
	return &r, err
}

// firstRow is the first forecast as its columns have it.
type firstRow struct {
	basis                                     string
	ahead, busy, p50, p90, readyP50, readyP90 *int64
}

func (f firstRow) forecast() *hub.FirstForecast {
	if f.basis == "" {
		return nil
	}
	at := func(p *int64) int64 {
		if p == nil {
			return 0
		}
		return *p
	}
	return &hub.FirstForecast{
		Basis: forecast.Basis(f.basis), Ahead: int(at(f.ahead)), Busy: at(f.busy) == 1,
		Start: forecast.Range{P50: milliseconds(at(f.p50)), P90: milliseconds(at(f.p90))},
		Ready: forecast.Range{P50: milliseconds(at(f.readyP50)), P90: milliseconds(at(f.readyP90))},
	}
}

// firstColumns are the first forecast's values: NULL where there is none, and no times where it was unknown. The times are rounded up, so
// that a wait within them is within what is stored.
func firstColumns(r *hub.Request) []any {
	f := r.First
	if f == nil {
		return []any{"", nil, nil, nil, nil, nil, nil, nil}
	}
	busy := 0
	if f.Busy {
		busy = 1
	}
	if f.Basis == forecast.Unknown {
		return []any{string(f.Basis), f.Ahead, busy, nil, nil, nil, nil, nil}
	}
	up := func(d time.Duration) int64 { return int64((d + time.Millisecond - 1) / time.Millisecond) }
	due := r.EnqueuedAt.Add(min(f.Start.P90, farOff))
	return []any{string(f.Basis), f.Ahead, busy, up(f.Start.P50), up(f.Start.P90), up(f.Ready.P50), up(f.Ready.P90), stamp(due)}
}

// farOff bounds a time that is stored: four digits of a year must do.
const farOff = 100 * 365 * 24 * time.Hour

// InsertRequest implements hub.RequestStore.
func (t *Tx) InsertRequest(ctx context.Context, r *hub.Request) error {
	r.Version = 1
	_, err := t.tx.ExecContext(ctx, `
		INSERT INTO requests (id, customer_id, plan, features, priority, way, state, assigned_to, tenant_id, notes, billing_cycle,
			referral_source, special_requirements, enqueued_at, claimed_at, credentials_at, started_at, finished_at, updated_at,
			overdue_at, failure, worker, fence, version, first_basis, first_ahead, first_busy, first_p50_ms, first_p90_ms,
			first_ready_p50_ms, first_ready_p90_ms, first_due_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28,
			$29, $30, $31, $32)`,
		append([]any{
			r.ID, r.CustomerID, r.Plan, listJSON(r.Features), r.Priority, string(r.Way), string(r.State), r.AssignedTo, r.TenantID, r.Notes,
			r.BillingCycle, r.ReferralSource, r.SpecialRequirements, stamp(r.EnqueuedAt), stampOrNull(r.ClaimedAt),
			stampOrNull(r.CredentialsAt), stampOrNull(r.StartedAt), stampOrNull(r.FinishedAt), stamp(r.UpdatedAt), stampOrNull(r.OverdueAt),
			asJSON{r.Failure},
			r.Worker, r.Fence, r.Version,
		}, firstColumns(r)...)...)
	if isUnique(err) { // ids are random: it can only be the one live request of the customer
		return hub.CustomerExists()
	}
	return err
}

// UpdateRequest implements hub.RequestStore.
func (t *Tx) UpdateRequest(ctx context.Context, r *hub.Request) error {
	res, err := t.tx.ExecContext(ctx, `
		UPDATE requests SET priority = $3, state = $4, assigned_to = $5, tenant_id = $6, notes = $7, claimed_at = $8, credentials_at = $9,
			started_at = $10, finished_at = $11, updated_at = $12, failure = $13, worker = $14, fence = $15, waited_ms = $16,
			ready_ms = $17, raised_at = $18, version = version + 1
		WHERE id = $1 AND version = $2`,
		r.ID, r.Version, r.Priority, string(r.State), r.AssignedTo, r.TenantID, r.Notes, stampOrNull(r.ClaimedAt), stampOrNull(r.CredentialsAt),
		stampOrNull(r.StartedAt), stampOrNull(r.FinishedAt), stamp(r.UpdatedAt), asJSON{r.Failure}, r.Worker, r.Fence, r.WaitedMS, r.ReadyMS,
		stampOrNull(r.RaisedAt))
	if err := changedOne(res, err); err != nil {
		return err
	}
	r.Version++
	return nil
}

// changedOne is hub.ErrConflict unless the statement changed exactly one row.
func changedOne(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil {
		return err
	} else if n != 1 {
		return hub.ErrConflict
	}
	return nil
}

func orNotFound(err error, what, id string) error {
	if errors.Is(err, sql.ErrNoRows) || isUnkeepable(err) {
		return hub.NotFound(what, id)
	}
	return err
}

// Request implements hub.RequestStore.
func (t *Tx) Request(ctx context.Context, id string) (*hub.Request, error) {
	r, err := scanRequest(t.tx.QueryRowContext(ctx, requestSelect+` WHERE r.id = $1`, id))
	return r, orNotFound(err, "request", id)
}

// LockRequest implements hub.RequestStore.
func (t *Tx) LockRequest(ctx context.Context, id string) (*hub.Request, error) {
	r, err := scanRequest(t.tx.QueryRowContext(ctx, requestSelect+` WHERE r.id = $1`+t.d.lockRow, id))
	return r, orNotFound(err, "request", id)
}

// LockNext implements hub.RequestStore.
func (t *Tx) LockNext(ctx context.Context) (*hub.Request, bool, error) {
	r, err := scanRequest(t.tx.QueryRowContext(ctx, requestSelect+` WHERE r.state = 'pending'`+lineOrder+` LIMIT 1`+t.d.lockFree))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	return r, err == nil, err
}

// LiveRequest implements hub.RequestStore.
func (t *Tx) LiveRequest(ctx context.Context, customerID string) (*hub.Request, bool, error) {
	r, err := scanRequest(t.tx.QueryRowContext(ctx, requestSelect+` WHERE r.customer_id = $1 AND r.state <> 'cancelled'`, customerID))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	return r, err == nil, err
}

// ListRequests implements hub.RequestStore.
func (t *Tx) ListRequests(ctx context.Context, f hub.RequestFilter) ([]*hub.Request, error) {
	var w where
	w.equal("r.state", string(f.State))
	w.equal("r.plan", f.Plan)
	w.equal("r.assigned_to", f.AssignedTo)
	if f.Query != "" {
		w.contains("c.search", strings.ToLower(f.Query))
	}
	if f.OverdueAt != nil {
		w.add(`r.overdue_at < $%d AND r.state NOT IN ('completed', 'cancelled')`, stamp(*f.OverdueAt))
	}
	if k := f.After; k != nil {
		n := len(w.args)
		w.args = append(w.args, k.Priority, stamp(k.EnqueuedAt), k.ID)
		w.parts = append(w.parts, fmt.Sprintf(`(r.priority < $%d OR (r.priority = $%d AND (r.enqueued_at, r.id) > ($%d, $%d)))`, n+1, n+1, n+2, n+3))
	}
	return t.requests(ctx, requestSelect+w.String()+lineOrder+limit(f.Limit), w.args...)
}

func (t *Tx) requests(ctx context.Context, query string, args ...any) ([]*hub.Request, error) {
	rows, err := t.tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanRequest)
}

// PendingAutomatic implements hub.RequestStore.
func (t *Tx) PendingAutomatic(ctx context.Context, n int) ([]*hub.Request, error) {
	return t.requests(ctx, requestSelect+` WHERE r.state = 'pending' AND r.way = 'automatic'`+lineOrder+` LIMIT $1`, n)
}

// Abandoned implements hub.RequestStore.
func (t *Tx) Abandoned(ctx context.Context, live []string, n int) ([]*hub.Request, error) {
	var w where
	w.parts = append(w.parts, `r.worker <> ''`, `r.state IN ('in_progress', 'credentials_received', 'migrating')`)
	for _, id := range live {
		w.add(`r.worker <> $%d`, id)
	}
	return t.requests(ctx, requestSelect+w.String()+limit(n)+t.d.lockFree, w.args...)
}

// Ahead implements hub.RequestStore.
func (t *Tx) Ahead(ctx context.Context, k hub.LineKey, way hub.Way) (hub.Ahead, error) {
	var a hub.Ahead
	err := t.tx.QueryRowContext(ctx, `
		SELECT count(*), count(*) FILTER (WHERE way = $4), count(*) FILTER (WHERE priority > $1) FROM requests
		WHERE state = 'pending' AND (priority > $1 OR (priority = $1 AND (enqueued_at, id) < ($2, $3)))`,
		k.Priority, stamp(k.EnqueuedAt), k.ID, string(way)).Scan(&a.All, &a.SameWay, &a.Higher)
	return a, err
}

// PutStatusToken implements hub.RequestStore.
func (t *Tx) PutStatusToken(ctx context.Context, hash []byte, requestID string) error {
	_, err := t.tx.ExecContext(ctx, `INSERT INTO status_tokens (hash, request_id, created_at) VALUES ($1, $2, $3)`, hash, requestID, stamp(t.now))
	return err
}

// RequestByStatusToken implements hub.RequestStore.
func (t *Tx) RequestByStatusToken(ctx context.Context, hash []byte) (*hub.Request, error) {
	r, err := scanRequest(t.tx.QueryRowContext(ctx, requestSelect+` JOIN status_tokens s ON s.request_id = r.id WHERE s.hash = $1`, hash))
	return r, orNotFound(err, "status link", "…")
}
