package hubtest

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"github.com/kitshub/kitshub/internal/auth"
	"github.com/kitshub/kitshub/internal/hub"
)

// TenantDB is the real one, with a place to look in or break off.
type TenantDB struct {
	hub.TenantDB
	mu     sync.Mutex
	before func(ctx context.Context, step string) error
}

// Before is called at each step with its name, "identity" and "probe" among them; an error of it is the step's.
func (d *TenantDB) Before(fn func(ctx context.Context, step string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.before = fn
}

func (d *TenantDB) at(ctx context.Context, step string) error {
	d.mu.Lock()
	fn := d.before
	d.mu.Unlock()
	if fn == nil {
		return nil
	}
	return fn(ctx, step)
}

// Apply implements hub.TenantDB.
func (d *TenantDB) Apply(ctx context.Context, db *sql.DB, dia hub.Dialect, s hub.Step) error {
	if err := d.at(ctx, s.Name); err != nil {
		return err
	}
	return d.TenantDB.Apply(ctx, db, dia, s)
}

// Check implements hub.TenantDB.
func (d *TenantDB) Check(ctx context.Context, db *sql.DB, dia hub.Dialect, s hub.Step) error {
	if err := d.at(ctx, s.Name); err != nil {
		return err
	}
	return d.TenantDB.Check(ctx, db, dia, s)
}

// Identify implements hub.TenantDB.
func (d *TenantDB) Identify(ctx context.Context, db *sql.DB, dia hub.Dialect, id hub.Identity) error {
	if err := d.at(ctx, "identity"); err != nil {
		return err
	}
	return d.TenantDB.Identify(ctx, db, dia, id)
}

// Reseal implements hub.TenantDB.
func (d *TenantDB) Reseal(ctx context.Context, db *sql.DB, dia hub.Dialect, from, to hub.Identity) error {
	if err := d.at(ctx, "identity"); err != nil {
		return err
	}
	return d.TenantDB.Reseal(ctx, db, dia, from, to)
}

// Probe implements hub.TenantDB.
func (d *TenantDB) Probe(ctx context.Context, db *sql.DB, dia hub.Dialect, id hub.Identity, applied []hub.Step) error {
	if err := d.at(ctx, "probe"); err != nil {
		return err
	}
	return d.TenantDB.Probe(ctx, db, dia, id, applied)
}

// Meter counts.
type Meter struct {
	mu                         sync.Mutex
	Created, Completed, Failed int
	Hits, Misses, PoolFailures int
	left                       map[string]int
}

// Reconciled implements hub.Meter.
func (m *Meter) Reconciled(left map[string]int) { m.mu.Lock(); m.left = left; m.mu.Unlock() }

// Left gives what the latest scan left, by kind.
func (m *Meter) Left() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.left
}

// Counts gives all three.
func (m *Meter) Counts() [3]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return [3]int{m.Created, m.Completed, m.Failed}
}

// RequestCreated implements hub.Meter.
func (m *Meter) RequestCreated(string) { m.mu.Lock(); m.Created++; m.mu.Unlock() }

// RequestCompleted implements hub.Meter.
func (m *Meter) RequestCompleted(string, time.Duration) { m.mu.Lock(); m.Completed++; m.mu.Unlock() }

// RequestFailed implements hub.Meter.
func (m *Meter) RequestFailed(string, hub.Class) { m.mu.Lock(); m.Failed++; m.mu.Unlock() }

// PoolTaken implements hub.Meter.
func (m *Meter) PoolTaken(_ string, found bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if found {
		m.Hits++
	} else {
		m.Misses++
	}
}

// PoolFailed implements hub.Meter.
func (m *Meter) PoolFailed(string, hub.Class) { m.mu.Lock(); m.PoolFailures++; m.mu.Unlock() }

// Pool gives hits, misses and failures.
func (m *Meter) Pool() [3]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return [3]int{m.Hits, m.Misses, m.PoolFailures}
}

// Mailer keeps letters.
type Mailer struct {
	mu   sync.Mutex
	Sent []hub.Letter
}

// Send implements hub.Mailer.
func (m *Mailer) Send(_ context.Context, _ string, l hub.Letter) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Sent = append(m.Sent, l)
	return nil
}

// Events keeps the topics that were told.
type Events struct {
	mu     sync.Mutex
	topics []string
}

// Publish implements hub.Events.
func (e *Events) Publish(topics ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.topics = append(e.topics, topics...)
}

// Take gives the topics told since the last time.
func (e *Events) Take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.topics
	e.topics = nil
	return t
}

// Subscribe implements hub.Events.
func (*Events) Subscribe(string, func()) func() { return func() {} }

// Tokens gives the domain auth's tokens.
type Tokens struct{}

// New implements hub.Tokens.
func (Tokens) New(prefix string) (string, []byte) { return auth.NewToken(prefix) }

// Hash implements hub.Tokens.
func (Tokens) Hash(token string) []byte { return auth.HashToken(token) }

// Passwords gives the domain auth's policy and a hasher that is quick and weak.
type Passwords struct{ h *auth.Hasher }

// NewPasswords makes one.
func NewPasswords() Passwords { return Passwords{auth.NewHasherForTests()} }

// Hash implements hub.Passwords.
func (p Passwords) Hash(_ context.Context, pw string) (string, error) { return p.h.Hash(pw) }

// Verify implements hub.Passwords.
func (p Passwords) Verify(_ context.Context, pw, enc string) (ok, rehash bool, err error) {
	return p.h.Verify(pw, enc)
}

// Burn implements hub.Passwords.
func (p Passwords) Burn(_ context.Context, pw string) error { return p.h.DummyVerify(pw) }

// Check implements hub.Passwords.
func (p Passwords) Check(pw string, identity ...string) *hub.Error {
	return auth.CheckPassword("length", pw, identity...)
}
