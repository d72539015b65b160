package hub

import (
	"context"
	"strings"
	"sync"
	"time"
	"unique"
)

// tokenLife is how long a status link works after its request ended.
const tokenLife = 90 * 24 * time.Hour

// Status is what a waiting customer sees.
type Status struct {
	Request  Request
	Position int // 1-based while pending, else 0
	Ahead    int
	Higher   int      // of those ahead, the ones of a higher priority
	Wait     Estimate // until it starts
	Ready    Estimate // until it is ready
	Reason   string   // why it failed or why nothing can be said, fit for the customer
	Steps    []StepRecord
	Revealed bool // the connection details were given
	AsOf     time.Time
}

// StatusOf gives the status that the token belongs to. While the customer waits it is answered from memory: who waits was read once, where he
// stands comes from the index, and the version there says that what was read still holds.
//
// Errors: CodeUnauthenticated for a token that is malformed, unknown or expired.
func (s *Service) StatusOf(ctx context.Context, token string) (Status, error) {
	hash := string(s.tokens.Hash(token))
	if w, ok := s.waiting.get(hash); ok {
		if p, asOf, ok := s.line.place(w.id, w.version); ok {
			return s.waitingStatus(ctx, w, aheadIn(p), asOf)
		}
	}
	s.line.await(ctx)
	return s.readStatus(ctx, func(tx Tx) (*Request, error) { return s.requestOf(ctx, tx, token) }, hash)
}

// StatusByID gives the same for operators.
func (s *Service) StatusByID(ctx context.Context, id string) (Status, error) {
	s.line.await(ctx)
	return s.readStatus(ctx, func(tx Tx) (*Request, error) { return tx.Request(ctx, id) }, "")
}

// readStatus reads from the database; who waits is remembered for the next look, if there is a token to know him by.
func (s *Service) readStatus(ctx context.Context, find func(Tx) (*Request, error), hash string) (Status, error) {
	type found struct {
		Status
		ahead Ahead
	}
	f, err := view(ctx, s, func(tx Tx) (f found, err error) {
		r, err := find(tx)
		if err != nil {
			return f, err
		}
		f.Request, f.AsOf = *r, tx.Now()
		if r.State == Pending {
			if f.ahead, f.AsOf, err = s.aheadOf(ctx, tx, r); err != nil {
				return f, err
			}
		}
		if r.TenantID != "" && r.State == Completed {
			t, err := tx.Tenant(ctx, r.TenantID)
			if err != nil {
				return f, err
			}
			f.Revealed = t.RevealedAt != nil
		}
		f.Steps, err = tx.Steps(ctx, r.ID)
		return f, err
	})
	if err != nil {
		return Status{}, err
	}
	if f.Request.State == Pending {
		w := s.waiterOf(&f.Request, f.Steps)
		if hash != "" {
			s.waiting.put(hash, w)
		}
		st, err := s.waitingStatus(ctx, w, f.ahead, f.AsOf)
		st.Request = f.Request // all of it: operators see more than the customer
		return st, err
	}
	o, err := s.outlook(ctx, f.Request.Way, 0)
	if err != nil {
		return Status{}, err
	}
	f.Wait, f.Ready, _ = o.estimate(&f.Request, 0, f.AsOf)
	if f.Request.State == Failed && f.Request.Failure != nil {
		f.Reason = f.Request.Failure.Customer
	}
	return f.Status, nil
}

// The reasons why a place goes backwards.
const (
	HigherPriorityJoined = "higher_priority_joined"
	EarlierReturned      = "earlier_request_returned" // released, retried, or committed late: its enqueue time was earlier
	PriorityChanged      = "priority_changed"
)

// WentBack says why somebody's place is further back than it was, or "".
func WentBack(was, is Status) string {
	switch {
	case was.Request.State != Pending || is.Request.State != Pending || is.Position <= was.Position:
		return ""
	case is.Request.Priority != was.Request.Priority:
		return PriorityChanged
	case is.Higher > was.Higher:
		return HigherPriorityJoined
	}
	return EarlierReturned
}

// waitingStatus says where somebody stands in the line and how long it will take.
func (s *Service) waitingStatus(ctx context.Context, w *waiter, a Ahead, asOf time.Time) (Status, error) {
	o, err := s.outlook(ctx, w.way, a.SameWay)
	if err != nil {
		return Status{}, err
	}
	st := Status{Request: w.request(), Position: a.All + 1, Ahead: a.All, Higher: a.Higher, Steps: w.steps, AsOf: asOf}
	st.Wait, st.Ready, st.Reason = o.estimate(&st.Request, a.SameWay, asOf)
	return st, nil
}

// waiter is what is remembered of somebody who waits; it is never changed.
//
// A hundred thousand of them are looked through at each garbage collection, so they hold no more than a status shows.
type waiter struct {
	id, plan string
	who      CustomerRef
	features []string // shared by all of equal features
	steps    []StepRecord
	way      Way
	priority int
	enqueued int64 // microseconds since 1970
	version  int64
}

func (s *Service) waiterOf(r *Request, steps []StepRecord) *waiter {
	return &waiter{
		id: r.ID, plan: unique.Make(r.Plan).Value(), who: r.Customer, features: s.waiting.shared(r.Features), steps: steps,
		way: Way(unique.Make(string(r.Way)).Value()), priority: r.Priority, enqueued: r.EnqueuedAt.UnixMicro(), version: r.Version,
	}
}

// request is what a status shows of it.
func (w *waiter) request() Request {
	return Request{
		ID: w.id, Plan: w.plan, Features: w.features, Priority: w.priority, Way: w.way, State: Pending, Customer: w.who,
		EnqueuedAt: time.UnixMicro(w.enqueued).UTC(), Version: w.version,
	}
}

// waiters remembers them by the hash of their token. It keeps two generations: when the younger is full the elder is dropped, so what is
// used stays and memory is bounded.
type waiters struct {
	mu           sync.RWMutex
	young, elder map[string]*waiter
	lists        map[string][]string
}

// maxLists bounds the feature lists that are shared; who has another one has his own.
const maxLists = 1000

// shared gives one list for all that are equal.
func (c *waiters) shared(list []string) []string {
	key := strings.Join(list, " ")
	c.mu.Lock()
	defer c.mu.Unlock()
	if l, ok := c.lists[key]; ok {
		return l
	}
	if c.lists == nil {
		c.lists = map[string][]string{}
	}
	if len(c.lists) < maxLists {
		c.lists[key] = list
	}
	return list
}

// generation is how many tokens one generation holds; an entry takes about a kilobyte.
const generation = 1 << 17

func (c *waiters) get(hash string) (*waiter, bool) {
	c.mu.RLock()
	w, ok := c.young[hash]
	elder := false
	if !ok {
		w, elder = c.elder[hash]
	}
	c.mu.RUnlock()
	if elder {
		c.put(hash, w)
	}
	return w, ok || elder
}

func (c *waiters) put(hash string, w *waiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young == nil || len(c.young) >= generation {
		c.young, c.elder = make(map[string]*waiter), c.young
	}
	c.young[hash] = w
}

func (s *Service) tokenOwner(ctx context.Context, token string) (*Request, error) {
	return view(ctx, s, func(tx Tx) (*Request, error) { return s.requestOf(ctx, tx, token) })
}

func (s *Service) requestOf(ctx context.Context, tx Tx, token string) (*Request, error) {
	bad := E(CodeUnauthenticated, "This status link is not valid.", "Ask for a fresh one at /api/v1/status/lookup.")
	if token == "" {
		return nil, bad
	}
	r, err := tx.RequestByStatusToken(ctx, s.tokens.Hash(token))
	if IsCode(err, CodeNotFound) {
		return nil, bad
	}
	if err == nil && r.State.Final() && r.FinishedAt != nil && tx.Now().Sub(*r.FinishedAt) > tokenLife {
		return nil, bad
	}
	return r, err
}

// Request gives one request to operators.
func (s *Service) Request(ctx context.Context, id string) (*Request, error) {
	return view(ctx, s, func(tx Tx) (*Request, error) { return tx.Request(ctx, id) })
}

// Steps gives the steps of a request.
func (s *Service) Steps(ctx context.Context, id string) ([]StepRecord, error) {
	return view(ctx, s, func(tx Tx) ([]StepRecord, error) {
		if _, err := tx.Request(ctx, id); err != nil {
			return nil, err
		}
		return tx.Steps(ctx, id)
	})
}

// ListRequests gives a page of the line in its own order.
func (s *Service) ListRequests(ctx context.Context, f RequestFilter, overdue bool) ([]*Request, error) {
	return view(ctx, s, func(tx Tx) ([]*Request, error) {
		if overdue {
			now := tx.Now()
			f.OverdueAt = &now
		}
		return tx.ListRequests(ctx, f)
	})
}

// Tenants gives a page of tenants.
func (s *Service) Tenants(ctx context.Context, f TenantFilter) ([]*Tenant, error) {
	return view(ctx, s, func(tx Tx) ([]*Tenant, error) { return tx.ListTenants(ctx, f) })
}

// Tenant gives one tenant.
func (s *Service) Tenant(ctx context.Context, id string) (*Tenant, error) {
	return view(ctx, s, func(tx Tx) (*Tenant, error) { return tx.Tenant(ctx, id) })
}

// Audit gives a page of the log, newest first; target "" is all.
func (s *Service) Audit(ctx context.Context, target, before string, limit int) ([]*AuditEntry, error) {
	return view(ctx, s, func(tx Tx) ([]*AuditEntry, error) { return tx.ListAudit(ctx, target, before, limit) })
}

// Stats are the operators' numbers, measured when they are asked for.
type Stats struct {
	Counts
	AsOf time.Time
}

// Stats counts the line.
func (s *Service) Stats(ctx context.Context) (Stats, error) {
	return view(ctx, s, func(tx Tx) (Stats, error) {
		now := tx.Now()
		_, indexed := s.line.usable()
		c, err := tx.Counts(ctx, now.Truncate(24*time.Hour), !indexed)
		if indexed && err == nil {
			s.countWaiting(&c)
		}
		return Stats{c, now}, err
	})
}

// Depth counts who waits, by priority.
func (s *Service) Depth(ctx context.Context) ([3]int, error) {
	if _, ok := s.line.usable(); ok {
		var c Counts
		c.ByState = map[State]int{}
		s.countWaiting(&c)
		return c.Pending, nil
	}
	st, err := s.Stats(ctx)
	return st.Pending, err
}

// countWaiting takes who waits from the index.
func (s *Service) countWaiting(c *Counts) {
	v := s.line.idx.View()
	n := v.Counts()
	for p := range c.Pending {
		c.Pending[p] = n.Class(p)
	}
	c.ByState[Pending] = n.Total()
	c.OldestPending = nil
	if e, ok := v.Oldest(); ok {
		at := time.UnixMicro(e.Key.EnqueuedAt).UTC()
		c.OldestPending = &at
	}
}

// OperationView is an operation with how far it has come.
type OperationView struct {
	Operation
	Status   string // running, succeeded, failed
	Progress Progress
}

// Progress counts steps.
type Progress struct{ Completed, Total int }

// ProgressOf counts the steps that are done.
func ProgressOf(steps []StepRecord) Progress {
	p := Progress{Total: len(steps)}
	for _, s := range steps {
		if s.Status == StepDone {
			p.Completed++
		}
	}
	return p
}

// OperationView gives one operation.
func (s *Service) OperationView(ctx context.Context, id string) (OperationView, error) {
	return view(ctx, s, func(tx Tx) (OperationView, error) {
		o, err := tx.Operation(ctx, id)
		if err != nil {
			return OperationView{}, err
		}
		steps, err := tx.Steps(ctx, o.Target)
		v := OperationView{Operation: *o, Status: "running", Progress: ProgressOf(steps)}
		switch {
		case o.FinishedAt != nil && o.Error == "":
			v.Status = "succeeded"
		case o.FinishedAt != nil:
			v.Status = "failed"
		}
		return v, err
	})
}
