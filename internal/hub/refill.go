package hub

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"time"
)

// The pool is filled by every hub that serves. What has to be done is read off the rows, and each piece of work is claimed on its own row: a
// new member by its slot, one that is there by its fence. So several hubs fill no more than the slots there are, and what a dead one left half
// made is taken up by the next.
const (
	poolPoll   = 5 * time.Second // how often other hubs' doings are looked for; our own hand-overs wake the keeper
	poolAtOnce = 3               // members that one hub makes side by side
	poolPass   = 16              // pieces of work before the rows are read again

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
	key     string // MemberKey
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
		out[p.ID] = want{p.ID, MemberKey(d, steps), cat.Version, steps}
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

// duties reads off the rows what has to be done, the most urgent first. held says that somebody is at a member. While a hub with a later
// catalog or later settings fills the pool, its word stands and nothing is made here.
func duties(members []*Member, wants map[string]want, size int, policyAt time.Time, held func(*Member) bool) (out []duty) {
	type slot struct {
		plan string
		n    int
	}
	taken, ready, overruled := map[slot]bool{}, map[string]int{}, false
	for _, m := range members {
		w, known := wants[m.Plan]
		fits := known && m.Slot < size && m.Key == w.key
		current := fits && m.CatalogVersion == w.version
		if m.State != MemberDiscarding {
			taken[slot{m.Plan, m.Slot}] = true
		}
		switch {
		case m.State == MemberReady && current:
			ready[m.Plan]++
		case m.State != MemberDiscarding && !current && m.PolicyAt.After(policyAt):
			overruled = true
		case held(m):
		default:
			out = append(out, duty{plan: m.Plan, slot: m.Slot, member: m, remove: m.State == MemberDiscarding || !fits})
		}
	}
	for plan := range wants {
		for n := range size {
			if !overruled && !taken[slot{plan, n}] {
				out = append(out, duty{plan: plan, slot: n})
			}
		}
	}
	for i := range out {
		out[i].low = 2*ready[out[i].plan] < size
	}
	slices.SortFunc(out, func(a, b duty) int { // what makes room, then every plan's first slot, then its second
		return cmp.Or(-compareBool(a.remove, b.remove), cmp.Compare(a.slot, b.slot), cmp.Compare(a.plan, b.plan))
	})
	return out
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
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
	todo := duties(now.members, wants, s.pool.size, k.policyAt, func(m *Member) bool {
		if m.Worker == s.instance {
			return s.pool.has(m)
		}
		return now.live[m.Worker]
	})
	for plan := range k.resting {
		if !slices.ContainsFunc(todo, func(d duty) bool { return d.plan == plan }) {
			delete(k.resting, plan) // somebody else has done it, or nobody wants it any more
		}
	}
	todo = slices.DeleteFunc(todo, func(d duty) bool { return time.Now().Before(k.resting[d.plan].until) })
	todo = todo[:min(poolPass, len(todo))]
	if len(todo) == 0 {
		return 0, k.dropTemplates(ctx, s, cat, wants, now.now)
	}
	return len(todo), k.work(ctx, s, todo, wants)
}

// work does the duties, a few side by side. After the first trouble of a plan the rest of its duties is left for later.
func (k *poolKeeper) work(ctx context.Context, s *Service, todo []duty, wants map[string]want) error {
	var mu sync.Mutex
	var firstErr error
	failed := map[string]error{}
	next := 0
	take := func() (duty, bool) {
		mu.Lock()
		defer mu.Unlock()
		for ; next < len(todo) && firstErr == nil && ctx.Err() == nil; next++ {
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
		return ctx.Err()
	}
	for _, d := range todo {
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
	return firstErr
}

// doDuty claims and does one duty. memberErr is the trouble that the member met and has been written down with it; err is the hub's own.
func (s *Service) doDuty(ctx context.Context, d duty, w want, policyAt time.Time) (memberErr, err error) {
	m, err := s.claimMember(ctx, d, w, policyAt)
	if err != nil || m == nil {
		return nil, err
	}
	defer s.pool.leave(m)
	bg := s.pool.provider.Background(ctx)
	step := StepRecord{Name: "discard"}
	if d.remove {
		memberErr = s.discardMember(bg, m)
	} else {
		step.Name, memberErr = s.prepareMember(bg, m, w)
	}
	if memberErr == nil {
		err = s.settleMember(ctx, m, func(u *unit, row *Member) error {
			if d.remove {
				return u.DeleteMember(ctx, row.ID)
			}
			now := u.Now()
			row.State, row.ReadyAt, row.Worker, row.Failure = MemberReady, &now, "", nil
			return u.UpdateMember(ctx, row)
		})
		return nil, err
	}
	f := explain(step, memberErr)
	if ctx.Err() == nil {
		s.log.WarnContext(ctx, "a member of the pool could not be made or removed; it is tried again", "member", m.ID, "plan", m.Plan,
			"step", f.Step, "class", f.Class, "code", f.Code, "error", memberErr)
		s.meter.PoolFailed(m.Plan, f.Class)
	}
	letGo, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second) // so that another can take it up at once
	defer cancel()
	return memberErr, s.settleMember(letGo, m, func(u *unit, row *Member) error {
		row.Worker = ""
		if ctx.Err() == nil {
			row.Failure = f
		}
		return u.UpdateMember(letGo, row)
	})
}

// claimMember takes hold of a member, or writes the intent of a new one. Nil: somebody else was first.
func (s *Service) claimMember(ctx context.Context, d duty, w want, policyAt time.Time) (*Member, error) {
	return mutate(ctx, s, func(u *unit) (*Member, error) {
		if d.member == nil {
			return s.planMember(ctx, u, d, w, policyAt)
		}
		m, err := u.LockMember(ctx, d.member.ID)
		if IsCode(err, CodeNotFound) {
			return nil, nil
		}
		if err != nil || m.Fence != d.member.Fence || m.State != d.member.State {
			return nil, err
		}
		m.Worker, m.State, m.ReadyAt, m.PolicyAt = s.instance, MemberPreparing, nil, policyAt
		m.Fence++
		if d.remove {
			m.State = MemberDiscarding
		} else {
			m.CatalogVersion = w.version
		}
		s.pool.enter(m)
		return m, u.UpdateMember(ctx, m)
	})
}

func (s *Service) planMember(ctx context.Context, u *unit, d duty, w want, policyAt time.Time) (*Member, error) {
	id := NewID(MemberPrefix, u.Now())
	b, c, err := s.pool.provider.Plan(ctx, id, memberGeneration)
	if err != nil {
		return nil, err
	}
	m := &Member{
		ID: id, Plan: d.plan, Slot: d.slot, Key: w.key, CatalogVersion: w.version, State: MemberPreparing, Backend: b, SecretVersion: 1,
		Worker: s.instance, Fence: 1, PolicyAt: policyAt, CreatedAt: u.Now(),
	}
	if m.Sealed, err = s.seal(c, m.ID, m.SecretVersion); err != nil {
		return nil, err
	}
	s.pool.enter(m)
	if ok, err := u.InsertMember(ctx, m); err != nil || !ok {
		s.pool.leave(m)
		return nil, err
	}
	return m, nil
}

// settleMember changes the member's row if we still hold it.
func (s *Service) settleMember(ctx context.Context, m *Member, change func(*unit, *Member) error) error {
	_, err := mutate(ctx, s, func(u *unit) (struct{}, error) {
		row, err := u.LockMember(ctx, m.ID)
		if IsCode(err, CodeNotFound) {
			return struct{}{}, nil
		}
		if err != nil || row.Fence != m.Fence {
			return struct{}{}, err
		}
		return struct{}{}, change(u, row)
	})
	return err
}

// prepareMember makes the database and does everything with it that does not depend on whose it will be: the catalog's steps by the template,
// the checks, and the probe as the tenant's own role. On an error it names the step.
func (s *Service) prepareMember(ctx context.Context, m *Member, w want) (step string, err error) {
	p := s.pool.provider
	c, err := s.openMember(m)
	if err != nil {
		return "create", err
	}
	if err := p.Prepare(ctx, m.Backend, c, s.template(p.Dialect(), w.steps)); err != nil {
		return "create", err
	}
	id := s.memberIdentity(m.ID, w.version)
	step, err = s.furnishMember(ctx, m, c, w, id)
	if err != nil {
		return step, err
	}
	db, err := p.Open(ctx, m.Backend, c, RoleTenant)
	if err != nil {
		return "probe", err
	}
	return "probe", errors.Join(s.try(ctx, p, db, m.Backend, id, w.steps), db.Close())
}

func (s *Service) furnishMember(ctx context.Context, m *Member, c Credentials, w want, id Identity) (step string, err error) {
	p, d := s.pool.provider, s.pool.provider.Dialect()
	db, err := p.Open(ctx, m.Backend, c, RoleOwner)
	if err != nil {
		return "create", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ledger, err := s.tenantDB.Ledger(ctx, db, d)
	if err != nil {
		return "create", err
	}
	for _, st := range w.steps {
		if st.InLedger() && ledger[st.Name] == st.Source.Checksum {
			continue // the template brought it
		}
		if err := s.memberStep(ctx, db, d, st, id); err != nil {
			return st.Name, err
		}
	}
	return "", nil
}

// memberStep does a step that works on the owner's connection.
func (s *Service) memberStep(ctx context.Context, db *sql.DB, d Dialect, st Step, id Identity) error {
	switch st.Kind {
	case StepIdentity:
		return s.tenantDB.Identify(ctx, db, d, id) // refuses a database that says another
	case StepMigrate, StepSeed:
		return s.tenantDB.Apply(ctx, db, d, st)
	case StepCheck:
		return s.tenantDB.Check(ctx, db, d, st)
	}
	return nil // create came before, the probe comes after
}

// discardMember removes a member's database, after a look at its seal.
func (s *Service) discardMember(ctx context.Context, m *Member) error {
	c, err := s.openMember(m)
	if err != nil {
		return err
	}
	owned := func(id Identity) bool { return id == s.memberIdentity(m.ID, id.CatalogVersion) }
	if err := s.sealedFor(ctx, s.pool.provider, m.Backend, c, owned); err != nil {
		return err
	}
	return s.pool.provider.Discard(ctx, m.Backend, c)
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
		keep = append(keep, TemplateKey(d, w.steps))
	}
	for _, features := range sets {
		if steps, err := PlanSteps(cat, features, d); err == nil { // of a feature that is gone no template can be built
			keep = append(keep, TemplateKey(d, steps))
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
