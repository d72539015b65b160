package hub

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Each hub tidies soon after its start, so that what a crash left is gone within a minute, and then every few minutes, with jitter. What lies
// with a hub it looks after itself; what all share, the clusters, is looked after by the hub that has been up longest. Should two think that of
// themselves for a moment, both may do it.
const (
	TidyEvery  = 2 * time.Second // how often Tidy is called, and asks itself whether it is due
	tidyFirst  = 6 * time.Second
	tidyPeriod = 5 * time.Minute
)

// tidier is this process's memory of its scans.
type tidier struct {
	mu   sync.Mutex
	due  time.Time
	told map[[5]string]bool // findings that the log has
}

// isDue reports whether a scan is due now, and puts the next one off.
func (t *tidier) isDue(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.due.IsZero() {
		t.due = now.Add(tidyFirst - tidyFirst/4 + rand.N(tidyFirst/2)) //nolint:gosec // jitter needs no secrecy
		return false
	}
	if now.Before(t.due) {
		return false
	}
	t.due = now.Add(tidyPeriod - tidyPeriod/4 + rand.N(tidyPeriod/2)) //nolint:gosec // likewise
	return true
}

// Tidy scans when that is due: it removes what was half made and is surely nobody's, and tells the log and the metrics of the rest. Called by
// the clockwork every TidyEvery.
func (s *Service) Tidy(ctx context.Context) error {
	if !s.tidy.isDue(time.Now()) {
		return nil
	}
	return s.TidyNow(ctx)
}

// TidyNow is Tidy without asking for the time.
func (s *Service) TidyNow(ctx context.Context) error {
	live, err := view(ctx, s, func(tx Tx) (map[string]bool, error) { return s.liveIDs(ctx, tx) })
	if err != nil {
		return err
	}
	eldest := slices.Min(slices.Collect(maps.Keys(live))) == s.instance // ids ascend with time
	r, err := s.reconcile(ctx, HubActor(), ReconcileOptions{Mode: reconcileTidy}, s.reconcilers(eldest))
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
