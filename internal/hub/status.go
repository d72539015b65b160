package hub

import (
	"context"
	"time"
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
// stands comes from the index, and the version there says that what was read still holds. The request in it has what a status shows.
//
// Errors: CodeUnauthenticated for a token that is malformed, unknown or expired.
func (s *Service) StatusOf(ctx context.Context, token string) (Status, error) {
	hash := tokenHash(s.tokens.Hash(token))
	if st, ahead, ok := s.standing(hash); ok {
		o, err := s.outlook(ctx, st.Request.Way, ahead)
		if err != nil {
			return Status{}, err
		}
		st.foresee(o, ahead)
		return st, nil
	}
	s.line.await(ctx)
	return s.readStatus(ctx, func(tx Tx) (*Request, error) { return s.requestOf(ctx, tx, token) }, &hash)
}

// StatusInMemory gives the same where that takes nothing but memory, and so no time to speak of; ok is false where StatusOf has to be asked.
func (s *Service) StatusInMemory(token string) (st Status, ok bool) {
	st, ahead, ok := s.standing(tokenHash(s.tokens.Hash(token)))
	if !ok {
		return st, false
	}
	o := s.forecaster.fresh(st.Request.Way, ahead)
	if o == nil {
		return st, false
	}
	st.foresee(o, ahead)
	return st, true
}

// standing gives the place of somebody who is remembered, and how many of his way stand before him.
func (s *Service) standing(hash tokenHash) (st Status, ahead int, ok bool) {
	if st.Request, ok = s.waiting.get(hash); !ok {
		return st, 0, false
	}
	p, asOf, ok := s.line.place(st.Request.ID, st.Request.Version)
	if !ok {
		return st, 0, false
	}
	a := aheadIn(p)
	st.stand(a, asOf)
	return st, a.SameWay, true
}

func (st *Status) stand(a Ahead, asOf time.Time) {
	st.Position, st.Ahead, st.Higher, st.AsOf = a.All+1, a.All, a.Higher, asOf
}

func (st *Status) foresee(o *outlook, ahead int) {
	st.Wait, st.Ready, st.Reason = o.estimate(&st.Request, ahead, st.AsOf)
}

// StatusByID gives the same for operators.
func (s *Service) StatusByID(ctx context.Context, id string) (Status, error) {
	s.line.await(ctx)
	return s.readStatus(ctx, func(tx Tx) (*Request, error) { return tx.Request(ctx, id) }, nil)
}

// readStatus reads from the database; who waits is remembered for the next look, if there is a token to know him by. One with steps, who failed
// and waits again, is not: there are few, and for them each look is read.
func (s *Service) readStatus(ctx context.Context, find func(Tx) (*Request, error), hash *tokenHash) (Status, error) {
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
		if r.Fence > 0 { // else no run has begun, so nothing is planned
			f.Steps, err = tx.Steps(ctx, r.ID)
		}
		return f, err
	})
	if err != nil {
		return Status{}, err
	}
	if f.Request.State == Pending {
		f.stand(f.ahead, f.AsOf)
		if hash != nil && len(f.Steps) == 0 {
			s.waiting.put(*hash, &f.Request)
		}
	}
	o, err := s.outlook(ctx, f.Request.Way, f.ahead.SameWay)
	if err != nil {
		return Status{}, err
	}
	f.foresee(o, f.ahead.SameWay)
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
	Pool []PoolDepth // of the warm pool, by plan; nil where there is none
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
		if err != nil {
			return Stats{}, err
		}
		pool, err := s.poolDepths(ctx, tx)
		return Stats{c, pool, now}, err
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
