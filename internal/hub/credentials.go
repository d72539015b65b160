package hub

import (
	"context"
)

// GiveCredentials records who makes the backend, or tries the one that is brought, seals its credentials and starts the pipeline in the
// background.
//
// Errors: CodeInvalidField for an unknown provider or what does not go with it, those of Bringer.Bring, CodeRateLimited when too many are tried
// at once, CodeNotFound, CodeInvalidTransition, CodeForbidden.
func (s *Service) GiveCredentials(ctx context.Context, a Actor, id string, o Offer) (*Request, *Operation, error) {
	p, err := s.offered(o)
	if err != nil {
		return nil, nil, err
	}
	give := s.giveBackend
	if b, ok := p.(Bringer); ok {
		x, err := s.bringFor(ctx, a, id, b, o)
		if err != nil {
			return nil, nil, err
		}
		give = func(ctx context.Context, u *unit, r *Request, _ Provider) error { return s.giveBrought(ctx, u, r, x) }
	}
	var op *Operation
	r, err := s.handle(ctx, a, id, MoveCredentials, func(u *unit, r *Request) (map[string]any, error) {
		if err := give(ctx, u, r, p); err != nil {
			return nil, err
		}
		op = provisionOperation(u, r)
		if err := u.InsertOperation(ctx, op); err != nil {
			return nil, err
		}
		r.Worker, r.OperationID = "", op.ID
		return map[string]any{"provider": p.Name(), "tenant": r.TenantID}, s.jobs.EnqueueProvision(ctx, u, r.Key())
	})
	return r, op, err
}

func provisionOperation(u *unit, r *Request) *Operation {
	return &Operation{ID: NewID("op_", u.Now()), Kind: "provision", Target: r.ID, CreatedAt: u.Now()}
}

// giveBackend writes the intent: which backend will be this request's, and its sealed credentials. Nothing is made yet. A request that
// already has a tenant keeps its backend, so that the pipeline resumes in it.
func (s *Service) giveBackend(ctx context.Context, u *unit, r *Request, p Provider) error {
	now := u.Now()
	r.CredentialsAt = &now
	if r.TenantID != "" {
		t, err := u.LockTenant(ctx, r.TenantID)
		if err != nil {
			return err
		}
		if t.Backend.Provider == p.Name() {
			t.State = TenantProvisioning
			return u.UpdateTenant(ctx, t)
		}
		return asList([]*Error{FieldError(CodeInvalidField, "provider", "This request's backend was begun by "+t.Backend.Provider+".", "Use the same provider, or cancel the request.")})
	}
	t := &Tenant{
		ID: NewID("ten_", now), RequestID: r.ID, CustomerID: r.CustomerID, State: TenantProvisioning, CatalogVersion: s.Catalog().Version, CreatedAt: now,
	}
	c, found, err := s.takeMember(ctx, u, r, p, t)
	if err == nil && !found {
		t.Backend, c, err = p.Plan(ctx, t.ID, 1)
	}
	if err != nil {
		return err
	}
	if err := s.sealCredentials(t, c); err != nil {
		return err
	}
	if err := u.InsertTenant(ctx, t); err != nil {
		return err
	}
	r.TenantID = t.ID
	return nil
}

// RevealToCustomer gives the connection details once.
//
// Errors: CodeUnauthenticated for a bad token, CodeInvalidTransition before the backend is ready, CodeAlreadyRevealed afterwards.
func (s *Service) RevealToCustomer(ctx context.Context, token string) (Credentials, error) {
	owner, err := s.tokenOwner(ctx, token)
	if err != nil {
		return Credentials{}, err
	}
	return mutate(ctx, s, func(u *unit) (Credentials, error) {
		r, err := u.LockRequest(ctx, owner.ID)
		if err != nil {
			return Credentials{}, err
		}
		if r.State == Cancelled {
			return Credentials{}, E(CodeInvalidTransition, "The request was cancelled, so there is no database.", "Sign up again at any time.")
		}
		if r.State != Completed {
			return Credentials{}, E(CodeInvalidTransition, "Your database is not ready yet.", "Wait until the status says completed.")
		}
		t, err := u.LockTenant(ctx, r.TenantID)
		if err != nil {
			return Credentials{}, err
		}
		if t.RevealedAt != nil {
			return Credentials{}, E(CodeAlreadyRevealed, "The connection details were already given once.", "Ask the operator to reveal them again.")
		}
		now := u.Now()
		t.RevealedAt = &now
		if err := u.UpdateTenant(ctx, t); err != nil {
			return Credentials{}, err
		}
		who := Actor{Kind: ByCustomer, ID: r.CustomerID, Name: r.Customer.CompanyName}
		if err := u.audit(ctx, who, "tenant.reveal", t.ID, nil); err != nil {
			return Credentials{}, err
		}
		u.touch(r.ID)
		return s.addressed(t)
	})
}

// addressed opens the credentials for those who connect with them: with the address of today, where the provider knows it. Those of a cluster
// that is not set up here are given as they were sealed.
func (s *Service) addressed(t *Tenant) (Credentials, error) {
	sealed, err := s.openCredentials(t)
	if err != nil {
		return Credentials{}, err
	}
	if p, ok := s.providers[t.Backend.Provider].(Addresser); ok {
		if now, err := p.Addressed(t.Backend, sealed); err == nil {
			return now, nil
		}
	}
	return sealed, nil
}

// Reveal gives an operator the connection details; each look is audited.
func (s *Service) Reveal(ctx context.Context, a Actor, tenantID string) (Credentials, error) {
	return mutate(ctx, s, func(u *unit) (Credentials, error) {
		if err := a.mayWork(); err != nil {
			return Credentials{}, err
		}
		t, err := u.Tenant(ctx, tenantID)
		if err != nil {
			return Credentials{}, err
		}
		if t.State == TenantPurged {
			return Credentials{}, E(CodeInvalidTransition, "This tenant's database was removed.", "There is nothing to reveal.")
		}
		if err := u.audit(ctx, a, "tenant.reveal", t.ID, nil); err != nil {
			return Credentials{}, err
		}
		return s.addressed(t)
	})
}

// Cleanup removes the database of a cancelled request, or what was made in one that was brought. Called by a job, which tries again on error.
func (s *Service) Cleanup(ctx context.Context, tenantID string) error {
	t, err := view(ctx, s, func(tx Tx) (*Tenant, error) { return tx.Tenant(ctx, tenantID) })
	if err != nil {
		return err
	}
	if t.State != TenantOffboarding {
		return nil
	}
	p, err := s.provider(t.Backend.Provider)
	if err != nil {
		return err
	}
	c, err := s.openCredentials(t)
	if err != nil {
		return err
	}
	_, brought := p.(Bringer)
	left := false
	switch err := s.ownOrNone(ctx, p, t, c); {
	case brought && isNotOurs(err):
		left = true // somebody else's: nothing in it is this request's, and it stays
	case err != nil:
		return err
	default:
		if err := p.Drop(ctx, t.Backend, c); err != nil {
			return err
		}
	}
	_, err = mutate(ctx, s, func(u *unit) (struct{}, error) {
		t, err := u.LockTenant(ctx, tenantID)
		if err != nil || t.State != TenantOffboarding {
			return struct{}{}, err
		}
		detail := map[string]any{"place": t.Backend.Place}
		t.State = TenantPurged
		if brought { // the database goes on and may be brought again, so the place is given free
			t.Backend.Place += "#" + t.ID
			detail["untouched"] = left
		}
		if err := u.UpdateTenant(ctx, t); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, u.audit(ctx, HubActor(), "tenant.purge", t.ID, detail)
	})
	return err
}
