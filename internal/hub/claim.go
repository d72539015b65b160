package hub

import (
	"context"
	"strings"
)

// Claim puts a request into the operator's hands: a pending one, or a failed one to take over.
//
// Errors: CodeNotFound, CodeAlreadyClaimed with assigned_to (also for its holder), CodeInvalidTransition, CodeForbidden.
func (s *Service) Claim(ctx context.Context, a Actor, id string) (*Request, error) {
	r, err := mutate(ctx, s, func(u *unit) (*Request, error) {
		if err := a.mayWork(); err != nil {
			return nil, err
		}
		r, err := u.LockRequest(ctx, id)
		if err != nil {
			return nil, err
		}
		return r, u.claim(ctx, a, r)
	})
	if err != nil {
		return nil, s.refused(ctx, a, MoveClaim, id, err)
	}
	return r, nil
}

// ClaimNext claims the head of the line.
//
// Errors: CodeQueueEmpty when nobody waits, CodeForbidden.
func (s *Service) ClaimNext(ctx context.Context, a Actor) (*Request, error) {
	return mutate(ctx, s, func(u *unit) (*Request, error) {
		if err := a.mayWork(); err != nil {
			return nil, err
		}
		r, found, err := u.LockNext(ctx)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, E(CodeQueueEmpty, "Nobody is waiting.", "Ask again when a customer has signed up.")
		}
		return r, u.claim(ctx, a, r)
	})
}

func (u *unit) claim(ctx context.Context, a Actor, r *Request) error {
	switch r.State {
	case InProgress, CredentialsReceived, Migrating:
		return alreadyClaimed(r)
	}
	if err := r.move(MoveClaim, u.Now()); err != nil {
		return err
	}
	if err := u.endRetries(ctx, r); err != nil {
		return err
	}
	now := u.Now()
	r.AssignedTo, r.AssigneeName = a.ID, a.Name
	r.claimedAt(now)
	r.FinishedAt, r.Failure = nil, nil
	return u.saveMove(ctx, a, r, MoveClaim, map[string]any{"assigned_to": r.AssignedTo})
}

func alreadyClaimed(r *Request) *Error {
	e := E(CodeAlreadyClaimed, "This request is already claimed.", "Choose another one, or ask its holder to release it.")
	e.Details = map[string]any{"assigned_to": r.AssignedTo}
	if r.AssigneeName != "" {
		e.Details["assigned_to_name"] = r.AssigneeName
	}
	return e
}

// Release gives a claimed request back to the line, at its old place.
func (s *Service) Release(ctx context.Context, a Actor, id string) (*Request, error) {
	return s.handle(ctx, a, id, MoveRelease, func(u *unit, r *Request) (map[string]any, error) {
		r.AssignedTo, r.AssigneeName, r.ClaimedAt, r.Worker = "", "", nil, ""
		if r.Way == Automatic {
			return nil, s.jobs.EnqueueProvision(ctx, u, r.Key())
		}
		return nil, nil
	})
}

// Retry takes a failed request up again: at the step that failed where it had credentials, else back in the line at its old place.
func (s *Service) Retry(ctx context.Context, a Actor, id string) (*Request, error) {
	if err := s.catalogs.Reload(ctx); err != nil {
		s.log.WarnContext(ctx, "the catalog could not be read again; the one in force stays", "error", err)
	}
	return s.handle(ctx, a, id, MoveRetry, func(u *unit, r *Request) (map[string]any, error) { return s.takeUp(ctx, u, r, s.jobs.EnqueueProvision) })
}

// Cancel ends a request, by an operator.
func (s *Service) Cancel(ctx context.Context, a Actor, id string) (*Request, error) {
	return s.handle(ctx, a, id, MoveCancel, func(u *unit, r *Request) (map[string]any, error) {
		return nil, s.cancelled(ctx, u, r)
	})
}

// CancelByCustomer ends the request that the status token belongs to.
func (s *Service) CancelByCustomer(ctx context.Context, token string) (*Request, error) {
	owner, err := s.tokenOwner(ctx, token)
	if err != nil {
		return nil, err
	}
	a := Actor{Kind: ByCustomer, ID: owner.CustomerID, Name: owner.Customer.CompanyName}
	r, err := mutate(ctx, s, func(u *unit) (*Request, error) {
		r, err := u.LockRequest(ctx, owner.ID)
		if err != nil {
			return nil, err
		}
		if err := r.move(MoveCancel, u.Now()); err != nil {
			return nil, err
		}
		if err := s.cancelled(ctx, u, r); err != nil {
			return nil, err
		}
		return r, u.saveMove(ctx, a, r, MoveCancel, nil)
	})
	if err != nil {
		return nil, s.refused(ctx, a, MoveCancel, owner.ID, err)
	}
	return r, nil
}

// cancelled closes what belongs to the request; a database that was begun is removed by a job.
func (s *Service) cancelled(ctx context.Context, u *unit, r *Request) error {
	now := u.Now()
	r.FinishedAt, r.Worker = &now, ""
	if err := u.FinishOperations(ctx, r.ID, "cancelled"); err != nil {
		return err
	}
	if r.TenantID == "" {
		return nil
	}
	t, err := u.LockTenant(ctx, r.TenantID)
	if err != nil {
		return err
	}
	t.State = TenantOffboarding
	if err := u.UpdateTenant(ctx, t); err != nil {
		return err
	}
	return s.jobs.EnqueueCleanup(ctx, u, t.ID)
}

// handle is a move by the assignee or an admin; change does what the move needs besides the state. Anybody who may work moves a request
// that nobody holds.
func (s *Service) handle(ctx context.Context, a Actor, id string, m Move, change func(*unit, *Request) (map[string]any, error)) (*Request, error) {
	r, err := mutate(ctx, s, func(u *unit) (*Request, error) {
		r, err := u.LockRequest(ctx, id)
		if err != nil {
			return nil, err
		}
		if err := a.mayMove(r, m); err != nil {
			return nil, err
		}
		if err := r.move(m, u.Now()); err != nil {
			return nil, err
		}
		detail, err := change(u, r)
		if err != nil {
			return nil, err
		}
		return r, u.saveMove(ctx, a, r, m, detail)
	})
	if err != nil {
		return nil, s.refused(ctx, a, m, id, err)
	}
	return r, nil
}

// mayMove: credentials and release are the assignee's or an admin's; the rest is anybody's who may work.
func (a Actor) mayMove(r *Request, m Move) error {
	if (m == MoveRelease || m == MoveCredentials) && r.State == InProgress {
		return a.mayHandle(r)
	}
	return a.mayWork()
}

// SetPriority moves a waiting request to another class of the line; its enqueue time stays.
func (s *Service) SetPriority(ctx context.Context, a Actor, id string, priority int) (*Request, error) {
	return s.edit(ctx, a, id, "priority", func(u *unit, r *Request) (map[string]any, error) {
		if priority < 0 || priority > 2 {
			return nil, asList([]*Error{FieldError(CodeInvalidField, "priority", "priority is not 0, 1 or 2.", "Use 0 (normal), 1 (high) or 2 (urgent).")})
		}
		if r.State != Pending {
			return nil, invalidTransition(r, "priority")
		}
		was := r.Priority
		r.Priority = priority
		if r.Way == Automatic && was != priority { // a job at the new place; the one at the old place will find the request taken
			if err := s.jobs.EnqueueProvision(ctx, u, r.Key()); err != nil {
				return nil, err
			}
		}
		u.touch(TopicLine)
		return map[string]any{"from": was, "to": priority}, nil
	})
}

// SetNotes replaces the operators' notes on a request.
func (s *Service) SetNotes(ctx context.Context, a Actor, id, text string) (*Request, error) {
	text = strings.TrimSpace(text)
	if e := checkText("text", text, maxText, true); e != nil {
		return nil, asList([]*Error{e})
	}
	return s.edit(ctx, a, id, "notes", func(_ *unit, r *Request) (map[string]any, error) {
		r.Notes = text
		return nil, nil
	})
}

// Assign gives a pending or claimed request into another operator's hands.
func (s *Service) Assign(ctx context.Context, a Actor, id, operatorID string) (*Request, error) {
	return s.edit(ctx, a, id, "assign", func(u *unit, r *Request) (map[string]any, error) {
		o, err := u.Operator(ctx, operatorID)
		if IsCode(err, CodeNotFound) || (err == nil && (o.DisabledAt != nil || o.Rank == Support)) {
			return nil, asList([]*Error{FieldError(CodeInvalidField, "operator_id", "This is no operator who can work the line.", "Use the id of an admin or provisioner.")})
		}
		if err != nil {
			return nil, err
		}
		if r.State == InProgress {
			if err := a.mayHandle(r); err != nil {
				return nil, err
			}
		} else if err := r.move(MoveClaim, u.Now()); err != nil {
			return nil, err
		} else if err := u.endRetries(ctx, r); err != nil {
			return nil, err
		}
		now := u.Now()
		r.claimedAt(now)
		r.AssignedTo, r.AssigneeName, r.Failure, r.FinishedAt, r.Worker = o.ID, o.Name, nil, nil, ""
		u.touch(TopicLine)
		return map[string]any{"assigned_to": o.ID, "status": string(r.State)}, nil
	})
}

// edit changes a request without one of the moves of the table; m names it in the audit log.
func (s *Service) edit(ctx context.Context, a Actor, id string, m Move, change func(*unit, *Request) (map[string]any, error)) (*Request, error) {
	r, err := mutate(ctx, s, func(u *unit) (*Request, error) {
		if err := a.mayWork(); err != nil {
			return nil, err
		}
		r, err := u.LockRequest(ctx, id)
		if err != nil {
			return nil, err
		}
		detail, err := change(u, r)
		if err != nil {
			return nil, err
		}
		r.UpdatedAt = u.Now()
		if err := u.UpdateRequest(ctx, r); err != nil {
			return nil, err
		}
		u.touch(r.ID)
		return r, u.audit(ctx, a, "request."+string(m), r.ID, detail)
	})
	if err != nil {
		return nil, s.refused(ctx, a, m, id, err)
	}
	return r, nil
}
