package hub

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// The pool is filled by every hub that serves. What has to be done is read off the rows, and each piece of work is claimed on its own row: a
// new member by its slot, one that is there by its fence. So several hubs fill no more than the slots there are, and what a dead one left half
// made is taken up by the next.
const (
	poolPoll   = 5 * time.Second // how often other hubs' doings are looked for; our own hand-overs wake the keeper
	poolAtOnce = 4               // members that one hub makes side by side
	poolPass   = 2 * time.Second // how long work is begun on one reading of the rows; at its end all but one wait for the last

	// Making a database keeps disk and processors of the cluster busy, which those feel who are being served just now: a plan whose pool is half
	// full waits for a calm moment, and one that runs low waits less long.
	poolCalm    = 250 * time.Millisecond
	poolPatient = 5 * time.Second
	poolHurry   = 500 * time.Millisecond

	restFirst   = time.Second // how long a plan whose member failed is left alone; doubled each time
	restLongest = time.Minute

	templatesEvery = time.Hour      // how often unused templates are looked for, beside each new catalog
	templatesKept  = 24 * time.Hour // for feature sets that somebody has asked for lately
)

// pool is what this process knows of the warm pool.
type pool struct {
	provider Pooler // nil: no provider can hold databases ready
	size     int
	woken    chan struct{}

	mu sync.Mutex
	at map[string]int64 // the members this process is at, with their fences

	keeping sync.Mutex // one pass at a time
	keeper  poolKeeper
}

// newPool fills the pool for the provider of automatic plans; what an earlier setting left with another one is drained.
func newPool(providers map[string]Provider, fallback string, size int) *pool {
	p := &pool{woken: make(chan struct{}, 1), at: map[string]int64{}}
	p.keeper.resting = map[string]rest{}
	for name, one := range providers {
		pooler, ok := one.(Pooler)
		if !ok || (p.provider != nil && name != fallback) {
			continue
		}
		p.provider = pooler
		if name == fallback {
			p.size = size
		}
	}
	return p
}

// wake lets the keeper look at once.
func (p *pool) wake() {
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

// enter is called before the hold is committed, so that nobody sees it without the work.
func (p *pool) enter(m *Member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at[m.ID] = m.Fence
}

func (p *pool) leave(m *Member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at[m.ID] == m.Fence {
		delete(p.at, m.ID)
	}
}

func (p *pool) has(m *Member) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	fence, ok := p.at[m.ID]
	return ok && fence == m.Fence
}

// KeepPool keeps the pool filled, of the current catalog and of no other, until ctx ends. A pool of size 0 it drains.
func (s *Service) KeepPool(ctx context.Context) {
	if s.pool.provider == nil {
		return
	}
	for ctx.Err() == nil {
		did, pause, err := s.keepPool(ctx)
		if did > 0 && err == nil {
			continue
		}
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "the pool cannot be kept", "error", err, "again_in", pause)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.pool.woken:
		}
		timer.Stop()
	}
}

// FillPool does what there is to do until nothing is left, and gives the first error, also that of a member. It may run beside KeepPool.
func (s *Service) FillPool(ctx context.Context) error {
	if s.pool.provider == nil {
		return nil
	}
	k := &s.pool.keeper
	for first := true; ; first = false {
		did, err := func() (int, error) {
			s.pool.keeping.Lock()
			defer s.pool.keeping.Unlock()
			if first {
				clear(k.resting)
			}
			did, err := k.pass(ctx, s)
			if err == nil && len(k.resting) > 0 {
				err = k.lastErr
			}
			return did, err
		}()
		if err != nil || did == 0 {
			return err
		}
	}
}

// keepPool does one pass and says when the next one is due.
func (s *Service) keepPool(ctx context.Context) (did int, pause time.Duration, err error) {
	s.pool.keeping.Lock()
	defer s.pool.keeping.Unlock()
	k := &s.pool.keeper
	if did, err = k.pass(ctx, s); err != nil {
		k.pause = min(max(2*k.pause, restFirst), restLongest)
		return did, k.pause, err
	}
	k.pause, pause = 0, poolPoll
	for _, r := range k.resting {
		pause = min(pause, max(time.Until(r.until), 0))
	}
	return did, pause, nil
}

// poolKeeper is what the keeper remembers from pass to pass.
type poolKeeper struct {
	pause    time.Duration   // after the hub's own database failed
	resting  map[string]rest // by plan, while it has something to do
	lastErr  error
	version  string    // the catalog in force …
	policyAt time.Time // … and since when, by the hub's database

	templatesAt      time.Time
	templatesVersion string
}

type rest struct {
	until time.Time
	pause time.Duration
}

// want is what a plan's members have to be.
type want struct {
	plan    string
	key     string // ContentKey
	version string
	steps   []Step
}

func (s *Service) wants(cat *Catalog) (map[string]want, error) {
	out := map[string]want{}
	d := s.pool.provider.Dialect()
	for _, p := range cat.Plans {
		steps, err := planSteps(cat, p.Features, d)
		if err != nil {
			return nil, err
		}
		out[p.ID] = want{p.ID, ContentKey(d, steps), cat.Version, steps}
	}
	return out, nil
}

// duty is one piece of work: make a member for a slot, finish one that is there, or remove one.
type duty struct {
	plan   string
	slot   int
	member *Member // nil: make one
	remove bool
	low    bool // less than half of the plan's slots have a ready member
}

// poolView is what the duties are read off.
type poolView struct {
	members   []*Member
	wants     map[string]want
	size      int
	policyAt  time.Time          // when this hub took up its catalog and settings
	all, open []string           // Pooler.Parts
	held      func(*Member) bool // somebody is at it
}

// duties says what has to be done, the most urgent first. While a hub with a later catalog fills the pool, its word stands and nothing is made
// here. A member on a cluster that keeps the hub out waits for it. One on a cluster that is not set up any more gives up its slot; its row stays
// for whoever has the cluster.
func (v *poolView) duties() (out []duty) {
	type slot struct {
		plan string
		n    int
	}
	taken, ready, overruled := map[slot]bool{}, map[string]int{}, false
	for _, m := range v.members {
		w, known := v.wants[m.Plan]
		there, open := under(m.Backend.Place, v.all), under(m.Backend.Place, v.open)
		fits := known && m.Slot < v.size && m.Key == w.key && there
		current := fits && m.CatalogVersion == w.version
		if m.State != MemberDiscarding {
			taken[slot{m.Plan, m.Slot}] = true
		}
		switch {
		case m.State == MemberReady && current:
			if open {
				ready[m.Plan]++
			}
		case m.State != MemberDiscarding && !current && m.PolicyAt.After(v.policyAt):
			overruled = true
		case v.held(m), there && !open, !there && m.State == MemberDiscarding:
		default:
			out = append(out, duty{plan: m.Plan, slot: m.Slot, member: m, remove: m.State == MemberDiscarding || !fits})
		}
	}
	for plan := range v.wants {
		for n := range v.size {
			if !overruled && !taken[slot{plan, n}] {
				out = append(out, duty{plan: plan, slot: n})
			}
		}
	}
	for i := range out {
		out[i].low = 2*ready[out[i].plan] < v.size
	}
	adds := func(d duty) int {
		if d.remove {
			return 0
		}
		return 1
	}
	slices.SortFunc(out, func(a, b duty) int { // what makes room, then every plan's first slot, then its second
		return cmp.Or(cmp.Compare(adds(a), adds(b)), cmp.Compare(a.slot, b.slot), cmp.Compare(a.plan, b.plan))
	})
	return out
}

// pass does what there is to do now and gives how much that was. Errors are those of the hub's own database; a member that fails lets its plan
// rest.
func (k *poolKeeper) pass(ctx context.Context, s *Service) (did int, err error) {
	cat := s.Catalog()
	wants, err := s.wants(cat)
	if err != nil {
		return 0, err
	}
	type seen struct {
		members []*Member
		live    map[string]bool
		now     time.Time
	}
	now, err := view(ctx, s, func(tx Tx) (seen, error) {
		members, err := tx.ListMembers(ctx)
		if err != nil {
			return seen{}, err
		}
		live, err := s.liveIDs(ctx, tx)
		return seen{members, live, tx.Now()}, err
	})
	if err != nil {
		return 0, err
	}
	if k.version != cat.Version {
		k.version, k.policyAt = cat.Version, now.now
		clear(k.resting)
	}
	v := poolView{members: now.members, wants: wants, size: s.pool.size, policyAt: k.policyAt, held: func(m *Member) bool {
		if m.Worker == s.instance {
			return s.pool.has(m)
		}
		return now.live[m.Worker]
	}}
	v.all, v.open = s.pool.provider.Parts()
	todo := v.duties()
	for plan := range k.resting {
		if !slices.ContainsFunc(todo, func(d duty) bool { return d.plan == plan }) {
			delete(k.resting, plan) // somebody else has done it, or nobody wants it any more
		}
	}
	todo = slices.DeleteFunc(todo, func(d duty) bool { return time.Now().Before(k.resting[d.plan].until) })
	if len(todo) == 0 {
		return 0, k.dropTemplates(ctx, s, cat, wants, now.now)
	}
	return k.work(ctx, s, todo, wants)
}

// work does the duties, a few side by side, as far as it comes in a pass. After the first trouble of a plan the rest of its duties is left for
// later.
func (k *poolKeeper) work(ctx context.Context, s *Service, todo []duty, wants map[string]want) (did int, err error) {
	var mu sync.Mutex
	var firstErr error
	failed := map[string]error{}
	next, end := 0, time.Now().Add(poolPass)
	take := func() (duty, bool) {
		mu.Lock()
		defer mu.Unlock()
		for ; next < len(todo) && firstErr == nil && ctx.Err() == nil && time.Now().Before(end); next++ {
			if failed[todo[next].plan] == nil {
				next++
				return todo[next-1], true
			}
		}
		return duty{}, false
	}
	var wg sync.WaitGroup
	for range min(poolAtOnce, len(todo)) {
		wg.Go(func() {
			for d, ok := take(); ok; d, ok = take() {
				patience := poolPatient
				if d.low {
					patience = poolHurry
				}
				s.runs.calm(ctx, poolCalm, patience)
				memberErr, err := s.doDuty(ctx, d, wants[d.plan], k.policyAt)
				mu.Lock()
				if firstErr == nil {
					firstErr = err
				}
				if memberErr != nil {
					failed[d.plan] = memberErr
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return next, ctx.Err()
	}
	for _, d := range todo[:next] {
		err := failed[d.plan]
		if err == nil {
			delete(k.resting, d.plan)
			continue
		}
		r := k.resting[d.plan]
		if time.Now().Before(r.until) {
			continue // noted already, by another duty of this pass
		}
		r.pause = min(max(2*r.pause, restFirst), restLongest)
		r.until = time.Now().Add(r.pause)
		k.resting[d.plan], k.lastErr = r, err
	}
	return next, firstErr
}

// dropTemplates drops the templates that no plan and no request of late has a use for, once for each catalog and then now and again.
func (k *poolKeeper) dropTemplates(ctx context.Context, s *Service, cat *Catalog, wants map[string]want, now time.Time) error {
	if k.templatesVersion == cat.Version && now.Sub(k.templatesAt) < templatesEvery {
		return nil
	}
	d := s.pool.provider.Dialect()
	sets, err := view(ctx, s, func(tx Tx) ([][]string, error) { return tx.FeatureSetsSince(ctx, now.Add(-templatesKept)) })
	if err != nil {
		return err
	}
	var keep []string
	for _, w := range wants {
		keep = append(keep, w.key)
	}
	for _, features := range sets {
		if steps, err := PlanSteps(cat, features, d); err == nil { // of a feature that is gone no template can be built
			keep = append(keep, ContentKey(d, steps))
		}
	}
	dropped, err := s.pool.provider.DropUnusedTemplates(ctx, keep)
	if len(dropped) > 0 {
		s.log.InfoContext(ctx, "templates that nobody has a use for were dropped", "keys", dropped)
	}
	if err != nil {
		if ctx.Err() == nil {
			s.log.WarnContext(ctx, "unused templates could not be dropped; it is tried again in a while", "error", err)
		}
		k.templatesVersion, k.templatesAt = cat.Version, now.Add(restLongest-templatesEvery)
		return nil //nolint:nilerr // it is housekeeping: the pool is whole, and the next pass tries again
	}
	k.templatesVersion, k.templatesAt = cat.Version, now
	return nil
}
