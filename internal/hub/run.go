package hub

import (
	"context"
	"errors"
	"time"
)

// run is one worker's hold on one request.
type run struct {
	s     *Service
	id    string
	fence int64
	req   *Request // as last written
}

// begin takes the lease; false when there is nothing to do.
func (w *run) begin(ctx context.Context) (bool, error) {
	s := w.s
	r, err := mutate(ctx, s, func(u *unit) (*Request, error) {
		r, err := u.LockRequest(ctx, w.id)
		if IsCode(err, CodeNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if held, err := s.held(ctx, u, r); err != nil || held {
			return nil, err
		}
		mine := r.State == CredentialsReceived || r.State == Migrating ||
			(r.State == InProgress && r.AssignedTo == AutoAssignee) || (r.State == Pending && r.Way == Automatic)
		if !mine {
			return nil, nil
		}
		r.Worker = s.instance
		r.Fence++
		s.runs.enter(w, hold{r.ID, r.Fence})
		if r.State == Pending {
			now := u.Now()
			if err := r.move(MoveClaim, now); err != nil {
				return nil, err
			}
			r.claimedAt(now)
			r.AssignedTo, r.FinishedAt = AutoAssignee, nil
			err = u.saveMove(ctx, HubActor(), r, MoveClaim, map[string]any{"assigned_to": AutoAssignee})
		} else {
			r.UpdatedAt = u.Now()
			err = u.UpdateRequest(ctx, r)
		}
		return r, err
	})
	if err != nil || r == nil {
		return false, err
	}
	w.fence, w.req = r.Fence, r
	return true, nil
}

// held reports whether somebody is at the request: another hub that lives, or a run of this process.
func (s *Service) held(ctx context.Context, tx Tx, r *Request) (bool, error) {
	switch r.Worker {
	case "":
		return false, nil
	case s.instance:
		return s.runs.has(r), nil
	}
	live, err := s.liveIDs(ctx, tx)
	return live[r.Worker], err
}

// update changes the request if this run still holds it.
func (w *run) update(ctx context.Context, change func(*unit, *Request) error) error {
	r, err := mutate(ctx, w.s, func(u *unit) (*Request, error) {
		r, err := u.LockRequest(ctx, w.id)
		if err != nil {
			return nil, err
		}
		if r.Fence != w.fence || r.Worker != w.s.instance {
			return nil, errLeaseLost
		}
		return r, change(u, r)
	})
	if err != nil {
		return err
	}
	w.req = r
	return nil
}

func (w *run) move(ctx context.Context, u *unit, r *Request, m Move, detail map[string]any) error {
	if err := r.move(m, u.Now()); err != nil {
		return err
	}
	return u.saveMove(ctx, HubActor(), r, m, detail)
}

// letGo gives the lease back when this hub is stopping, so that another can take the request up at once.
func (w *run) letGo(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err := w.update(ctx, func(u *unit, r *Request) error {
		r.Worker = ""
		if err := w.s.jobs.EnqueueProvision(ctx, u, r.Key()); err != nil {
			return err
		}
		return u.UpdateRequest(ctx, r)
	})
	if err != nil && !errors.Is(err, errLeaseLost) {
		w.s.log.WarnContext(ctx, "the lease could not be given back; it ends with this hub", "request", w.id, "error", err)
	}
}
