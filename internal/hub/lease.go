package hub

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// A run of the pipeline holds a lease on its request: Worker names the hub instance that is at it, and Fence counts the runs. The lease is
// good as long as its hub lives, and a hub lives as long as it beats. A dead hub's requests are taken up by another (or by the same one
// after its restart, at once: it holds its data directory's lock, so a former process of it cannot be alive).
const (
	BeatEvery    = 2 * time.Second
	deadAfter    = 10 * time.Second // five missed beats; with ReapEvery this keeps a takeover well under 30 s
	ReapEvery    = 2 * time.Second
	reapAtOnce   = 200
	firstWaiting = 64 // how many of the line's first automatic requests get a new job when a hub died: more than any hub holds unstarted
)

// runSet knows which requests this process is at. The lease names the process only; without this, a run that ended because the hub's
// database was away would leave its request leased to a living hub that is not working on it.
type runSet struct {
	mu  sync.Mutex
	ids map[string]bool
}

// enter reports whether nobody in this process is at the request, who then is.
func (s *runSet) enter(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids[id] {
		return false
	}
	if s.ids == nil {
		s.ids = map[string]bool{}
	}
	s.ids[id] = true
	return true
}

func (s *runSet) leave(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ids, id)
}

// errLeaseLost ends a run whose request was taken by somebody else.
var errLeaseLost = errors.New("the request is in other hands now")

// Beat says that this hub is alive.
func (s *Service) Beat(ctx context.Context) error {
	return s.store.Write(ctx, func(tx Tx) error { return tx.Beat(ctx, s.instance, s.home, s.workers) })
}

// Leave ends this hub's leases on an orderly stop.
func (s *Service) Leave(ctx context.Context) error {
	return s.store.Write(ctx, func(tx Tx) error { return tx.RemoveInstance(ctx, s.instance) })
}

// Reap buries dead hubs and gives their unfinished requests a new job. It also runs once at start, after the first Beat.
func (s *Service) Reap(ctx context.Context) error {
	type found struct{ buried, abandoned int }
	out, err := mutate(ctx, s, func(u *unit) (found, error) {
		buried, err := u.BuryInstances(ctx, u.Now().Add(-deadAfter), s.home, s.instance)
		if err != nil {
			return found{}, err
		}
		live, err := s.liveIDs(ctx, u)
		if err != nil {
			return found{}, err
		}
		left, err := u.Abandoned(ctx, slices.Collect(maps.Keys(live)), reapAtOnce)
		if err != nil {
			return found{}, err
		}
		if len(buried) > 0 {
			waiting, err := u.PendingAutomatic(ctx, firstWaiting)
			if err != nil {
				return found{}, err
			}
			for _, r := range waiting {
				if err := s.jobs.EnqueueProvision(ctx, u, r.Key()); err != nil {
					return found{}, err
				}
			}
		}
		for _, r := range left {
			r.Worker = ""
			r.Fence++
			if err := u.UpdateRequest(ctx, r); err != nil {
				return found{}, err
			}
			if err := s.jobs.EnqueueProvision(ctx, u, r.Key()); err != nil {
				return found{}, err
			}
			if err := u.audit(ctx, HubActor(), "request.takeover", r.ID, map[string]any{"status": string(r.State)}); err != nil {
				return found{}, err
			}
		}
		return found{len(buried), len(left)}, nil
	})
	if err != nil || out == (found{}) {
		return err
	}
	s.log.WarnContext(ctx, "a hub is gone; its unfinished requests are taken up", "hubs", out.buried, "requests", out.abandoned)
	return nil
}

// Alive gives the ids of the hubs that beat lately, this one among them.
func (s *Service) Alive(ctx context.Context) ([]string, error) {
	live, err := view(ctx, s, func(tx Tx) (map[string]bool, error) { return s.liveIDs(ctx, tx) })
	return slices.Collect(maps.Keys(live)), err
}

// liveIDs gives the instances that beat lately; this one counts always.
func (s *Service) liveIDs(ctx context.Context, tx Tx) (map[string]bool, error) {
	live, err := tx.LiveInstances(ctx, tx.Now().Add(-deadAfter))
	if err != nil {
		return nil, err
	}
	ids := map[string]bool{s.instance: true}
	for _, i := range live {
		ids[i.ID] = true
	}
	return ids, nil
}

// Sweep removes what has expired: sessions and receipts.
func (s *Service) Sweep(ctx context.Context) error {
	return s.store.Write(ctx, func(tx Tx) error {
		if err := tx.DeleteSessionsBefore(ctx, tx.Now().Add(-SessionIdle), tx.Now().Add(-SessionAbsolute)); err != nil {
			return err
		}
		return tx.DeleteReceiptsBefore(ctx, tx.Now().Add(-ReceiptLife))
	})
}
