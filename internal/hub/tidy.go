package hub

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Each hub tidies soon after its start and after it has buried another, so that what a crash left is gone within a minute, and else every few
// minutes, with jitter. What lies with a hub it looks after itself; what all share, the clusters, is looked after by the hub that has been up
// longest, but for the look after a start or a burial. Several may do it at once.
const (
	TidyEvery  = 2 * time.Second // how often Tidy is called, and asks itself whether it is due
	tidyFirst  = 6 * time.Second
	tidyPeriod = 5 * time.Minute
)

// tidier is this process's memory of its scans.
type tidier struct {
	mu     sync.Mutex
	due    time.Time
	shared bool               // the next scan looks at the clusters, whoever is eldest
	told   map[[5]string]bool // findings that the log has
}

// soon brings the next scan forward: somebody has died.
func (t *tidier) soon(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bringForward(now)
}

func (t *tidier) bringForward(now time.Time) {
	t.due, t.shared = now.Add(tidyFirst-tidyFirst/4+rand.N(tidyFirst/2)), true //nolint:gosec // jitter needs no secrecy
}

// isDue reports whether a scan is due now, and whether of the clusters in any case; it puts the next one off.
func (t *tidier) isDue(now time.Time) (due, shared bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.due.IsZero():
		t.bringForward(now)
		return false, false
	case now.Before(t.due):
		return false, false
	}
	shared, t.shared = t.shared, false
	t.due = now.Add(tidyPeriod - tidyPeriod/4 + rand.N(tidyPeriod/2)) //nolint:gosec // jitter needs no secrecy
	return true, shared
}

// Tidy scans when that is due: it removes what was half made and is surely nobody's, and tells the log and the metrics of the rest. Called by
// the clockwork every TidyEvery.
func (s *Service) Tidy(ctx context.Context) error {
	due, shared := s.tidy.isDue(time.Now())
	if !due {
		return nil
	}
	return s.TidyNow(ctx, shared)
}

// TidyNow is Tidy without asking for the time; shared: also of what all hubs share, whoever is eldest.
func (s *Service) TidyNow(ctx context.Context, shared bool) error {
	live, err := view(ctx, s, func(tx Tx) (map[string]bool, error) { return s.liveIDs(ctx, tx) })
	if err != nil {
		return err
	}
	eldest := slices.Min(slices.Collect(maps.Keys(live))) == s.instance // ids ascend with time
	r, err := s.reconcile(ctx, HubActor(), ReconcileOptions{Mode: reconcileTidy}, s.reconcilers(eldest || shared))
	if err != nil {
		return err
	}
	left := map[string]int{}
	for _, kind := range FindingKinds {
		left[kind] = 0
	}
	told := map[[5]string]bool{}
	s.tidy.mu.Lock()
	before := s.tidy.told
	s.tidy.told = told
	s.tidy.mu.Unlock()
	for i := range r.Findings {
		x := &r.Findings[i]
		about := []any{"kind", x.Kind, "what", x.What, "provider", x.Provider, "place", x.Place, "name", x.Name, "tenant", x.Tenant, "problem", x.Problem}
		if x.Done != "" {
			s.log.InfoContext(ctx, "a leftover was "+x.Done, about...)
			continue
		}
		left[x.Kind]++
		told[x.key()] = true
		if !before[x.key()] {
			s.log.WarnContext(ctx, "what is at the provider and what is on record differ", append(about, "fix", x.Fix, "error", x.Error)...)
		}
	}
	for _, u := range r.Unknown {
		s.log.WarnContext(ctx, "a provider could not be looked through", "error", u)
	}
	s.meter.Reconciled(left)
	return nil
}
