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
	Wait     Estimate // until it starts
	Ready    Estimate // until it is ready
	Reason   string   // why it failed or why nothing can be said, fit for the customer
	Steps    []StepRecord
	Revealed bool // the connection details were given
	AsOf     time.Time
}

// StatusOf gives the status that the token belongs to.
//
// Errors: CodeUnauthenticated for a token that is malformed, unknown or expired.
func (s *Service) StatusOf(ctx context.Context, token string) (Status, error) {
	pace, err := s.currentPace(ctx)
	if err != nil {
		return Status{}, err
	}
	return view(ctx, s, func(tx Tx) (Status, error) {
		r, err := s.requestOf(ctx, tx, token)
		if err != nil {
			return Status{}, err
		}
		return s.status(ctx, tx, r, pace)
	})
}

// StatusByID gives the same for operators.
func (s *Service) StatusByID(ctx context.Context, id string) (Status, error) {
	pace, err := s.currentPace(ctx)
	if err != nil {
		return Status{}, err
	}
	return view(ctx, s, func(tx Tx) (Status, error) {
		r, err := tx.Request(ctx, id)
		if err != nil {
			return Status{}, err
		}
		return s.status(ctx, tx, r, pace)
	})
}

func (s *Service) status(ctx context.Context, tx Tx, r *Request, p pace) (Status, error) {
	st := Status{Request: *r, AsOf: tx.Now()}
	var ahead Ahead
	if r.State == Pending {
		var err error
		if ahead, st.AsOf, err = s.aheadOf(ctx, tx, r); err != nil {
			return st, err
		}
		st.Ahead, st.Position = ahead.All, ahead.All+1
	}
	st.Wait, st.Ready = p.estimate(r, ahead.SameWay, tx.Now())
	switch {
	case r.State == Failed && r.Failure != nil:
		st.Reason = r.Failure.Customer
	case r.State == Pending && st.Wait.Basis == "unknown":
		st.Reason = "Nobody is working the line right now, so no honest forecast can be given. Your place is kept."
	}
	if r.TenantID != "" && r.State == Completed {
		t, err := tx.Tenant(ctx, r.TenantID)
		if err != nil {
			return st, err
		}
		st.Revealed = t.RevealedAt != nil
	}
	var err error
	st.Steps, err = tx.Steps(ctx, r.ID)
	return st, err
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
		c, err := tx.Counts(ctx, now.Truncate(24*time.Hour))
		return Stats{c, now}, err
	})
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
