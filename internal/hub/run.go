package hub

import (
	"context"
	"errors"
	"sync"
	"time"
)

// run is one worker's hold on one request.
type run struct {
	s     *Service
	id    string
	fence int64

	mu  sync.Mutex // a step and the writing of its progress may both come to write
	req *Request   // as last written; nil while there is nothing to do
}

// begin takes the lease, and with it goes as far as advance does where that is wanted: one commit for what belongs to one instant. Without
// anything to do it leaves w.req nil; else the bench is what the first steps need, nil where they are under way already.
func (w *run) begin(ctx context.Context, advance bool) (b *bench, err error) {
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
			if err := u.moved(ctx, HubActor(), r, MoveClaim, map[string]any{"assigned_to": AutoAssignee}); err != nil {
				return nil, err
			}
		}
		if advance {
			if b, err = w.advance(ctx, u, r); err != nil {
				return nil, err
			}
		}
		r.UpdatedAt = u.Now()
		return r, u.UpdateRequest(ctx, r)
	})
	if err != nil || r == nil {
		return nil, err
	}
	w.fence, w.req = r.Fence, r
	return b, nil
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
	w.mu.Lock()
	w.req = r
	w.mu.Unlock()
	return nil
}

// written gives the request as last written.
func (w *run) written() *Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.req
}

// step is a move whose request is written later in the transaction.
func (w *run) step(ctx context.Context, u *unit, r *Request, m Move, detail map[string]any) error {
	if err := r.move(m, u.Now()); err != nil {
		return err
	}
	return u.moved(ctx, HubActor(), r, m, detail)
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
