package hubtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// Job is background work that a committed transaction enqueued.
type Job struct {
	Kind string // provision, cleanup, retry, mail
	ID   string // of the request or tenant
	Key  hub.LineKey
	Mail hub.Mail

	Again hub.Again
}

// Store is a process's view of the hub's database: the real store, which can be made to fail as a crash or an outage would.
type Store struct {
	hub.Store
	jobs *Jobs

	mu         sync.Mutex
	writes     int
	dieAt      int // the number of the Write at which the process dies; 0 is never
	afterwards bool
	blinks     bool // it is an outage that is over at once
	dead       bool
	auditFails error
	before     func() // runs once, before the next Write
	believed   func() // runs in a Write that found a setup link valid
}

// ErrDead is what a dead process gets; nobody is there to see it.
var ErrDead = errors.New("this process is dead")

// ErrNoAudit is what FailAudit's audit log says.
var ErrNoAudit = errors.New("the audit log cannot be written")

// DieAt lets the process die at its k-th Write from now: before the commit, so that nothing of it stays, or after it, so that it is all there
// and nobody heard of it.
func (s *Store) DieAt(k int, after bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes, s.dieAt, s.afterwards, s.blinks = 0, k, after, false
}

// BlinkAt lets the k-th Write from now fail as in an outage, and only that one.
func (s *Store) BlinkAt(k int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes, s.dieAt, s.afterwards, s.blinks = 0, k, false, true
}

// Die ends the process here and now.
func (s *Store) Die() error { return s.die() }

// Died reports whether it came to that.
func (s *Store) Died() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

// Revive ends an outage.
func (s *Store) Revive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead, s.dieAt = false, 0
}

// FailAudit makes every audit entry fail, or none.
func (s *Store) FailAudit(fails bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.auditFails = nil; fails {
		s.auditFails = ErrNoAudit
	}
}

// Before runs fn once, just before the next Write begins.
func (s *Store) Before(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = fn
}

// OnSetupValid runs fn in each Write that has just found a setup link valid, so that a test can hold two there.
func (s *Store) OnSetupValid(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.believed = fn
}

// Write implements hub.Store.
func (s *Store) Write(ctx context.Context, fn func(hub.Tx) error) error {
	dies, before, err := s.enter()
	if err != nil {
		return err
	}
	if before != nil {
		before()
	}
	var t *tx
	err = s.Store.Write(ctx, func(inner hub.Tx) error {
		t = &tx{Tx: inner, store: s}
		if err := fn(t); err != nil {
			return err
		}
		if dies && !s.afterwards {
			return s.die()
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.jobs.add(t.jobs...)
	if dies {
		return s.die()
	}
	return nil
}

func (s *Store) enter() (dies bool, before func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return false, nil, hub.Unavailable(ErrDead)
	}
	s.writes++
	before, s.before = s.before, nil
	return s.writes == s.dieAt, before, nil
}

func (s *Store) die() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = !s.blinks
	return hub.Unavailable(ErrDead)
}

// Read implements hub.Store.
func (s *Store) Read(ctx context.Context, fn func(hub.Tx) error) error {
	if s.Died() {
		return hub.Unavailable(ErrDead)
	}
	return s.Store.Read(ctx, fn)
}

type tx struct {
	hub.Tx
	store *Store
	jobs  []Job
}

// AppendAudit implements hub.Tx.
func (t *tx) AppendAudit(ctx context.Context, e *hub.AuditEntry) error {
	t.store.mu.Lock()
	err := t.store.auditFails
	t.store.mu.Unlock()
	if err != nil {
		return err
	}
	return t.Tx.AppendAudit(ctx, e)
}

// SetupTokenValid implements hub.Tx.
func (t *tx) SetupTokenValid(ctx context.Context, hash []byte, now time.Time) (bool, error) {
	ok, err := t.Tx.SetupTokenValid(ctx, hash, now)
	t.store.mu.Lock()
	fn := t.store.believed
	t.store.mu.Unlock()
	if ok && fn != nil {
		fn()
	}
	return ok, err
}

// Jobs is hub.Jobs that keeps what was committed until the test works it off.
type Jobs struct {
	mu    sync.Mutex
	queue []Job
}

func (j *Jobs) add(jobs ...Job) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.queue = append(j.queue, jobs...)
}

// Put gives back jobs that were taken and not done.
func (j *Jobs) Put(jobs ...Job) { j.add(jobs...) }

// Take gives the jobs that wait, and forgets them.
func (j *Jobs) Take() []Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	q := j.queue
	j.queue = nil
	return q
}

func enqueue(in hub.Tx, j Job) error {
	for {
		if t, ok := in.(*tx); ok {
			t.jobs = append(t.jobs, j)
			return nil
		}
		u, ok := in.(interface{ Unwrap() hub.Tx })
		if !ok {
			return fmt.Errorf("a %T does not lead to the store's transaction", in)
		}
		in = u.Unwrap()
	}
}

// EnqueueProvision implements hub.Jobs.
func (*Jobs) EnqueueProvision(_ context.Context, in hub.Tx, k hub.LineKey) error {
	return enqueue(in, Job{Kind: "provision", ID: k.ID, Key: k})
}

// EnqueueRetried implements hub.Jobs.
func (j *Jobs) EnqueueRetried(ctx context.Context, in hub.Tx, k hub.LineKey) error {
	return j.EnqueueProvision(ctx, in, k)
}

// EnqueueCleanup implements hub.Jobs.
func (*Jobs) EnqueueCleanup(_ context.Context, in hub.Tx, tenantID string) error {
	return enqueue(in, Job{Kind: "cleanup", ID: tenantID})
}

// EnqueueRetry implements hub.Jobs.
func (*Jobs) EnqueueRetry(_ context.Context, in hub.Tx, a hub.Again) error {
	return enqueue(in, Job{Kind: "retry", ID: a.RequestID, Again: a})
}

// EnqueueMail implements hub.Jobs.
func (*Jobs) EnqueueMail(_ context.Context, in hub.Tx, m hub.Mail) error {
	return enqueue(in, Job{Kind: "mail", ID: m.RequestID, Mail: m})
}
