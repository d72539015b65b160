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
	ReapEvery    = 2 * time.Second
	reapAtOnce   = 200
	firstWaiting = 64 // how many of the line's first automatic requests get a new job when a hub died: more than any hub holds unstarted
)

// runSet knows the runs of this process. A lease names the process only; without this, a run that ended because the hub's database was away
// would leave its request leased to a living hub that is not working on it.
type runSet struct {
	mu   sync.Mutex
	runs map[*run]hold
	left time.Time // when the last one ended
}

type hold struct {
	id    string
	fence int64
}

// enter is called before the lease is committed, so that nobody sees the lease without the run.
func (s *runSet) enter(w *run, h hold) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs == nil {
		s.runs = map[*run]hold{}
	}
	s.runs[w] = h
}

func (s *runSet) leave(w *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ran := s.runs[w]; ran {
		delete(s.runs, w)
		s.left = time.Now()
	}
}

// calm waits until no run has been at work for a while, but no longer than most.
func (s *runSet) calm(ctx context.Context, while, most time.Duration) {
	for end := time.Now().Add(most); ctx.Err() == nil; {
		s.mu.Lock()
		pause := while
		if len(s.runs) == 0 {
			pause = time.Until(s.left.Add(while))
		}
		s.mu.Unlock()
		pause = min(pause, time.Until(end))
		if pause <= 0 {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// has reports whether this process is at the request under the fence that the row has now.
func (s *runSet) has(r *Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.runs {
		if h == (hold{r.ID, r.Fence}) {
			return true
		}
	}
	return false
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

// Reap buries dead hubs and gives their unfinished requests a new job, and likewise those of our own whose run ended in an error. It also runs once at start, after the first Beat.
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
		delete(live, s.instance) // our own are judged by what we are really at
		left, err := u.Abandoned(ctx, slices.Collect(maps.Keys(live)), reapAtOnce)
		if err != nil {
			return found{}, err
		}
		left = slices.DeleteFunc(left, func(r *Request) bool { return r.Worker == s.instance && s.runs.has(r) })
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
	if out.buried > 0 {
		s.tidy.soon(time.Now())
	}
	s.log.WarnContext(ctx, "requests that nobody is at any more are taken up", "hubs", out.buried, "requests", out.abandoned)
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
