package hub

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kitshub/kitshub/internal/forecast"
)

// Estimate is a forecast as customers see it: seconds from now, or nothing where nothing honest can be said.
type Estimate struct {
	P50, P90 time.Duration
	Basis    forecast.Basis
}

// FirstForecast is what a customer was told on sign-up. It is kept, so that everybody can see how often such words were kept.
type FirstForecast struct {
	Basis forecast.Basis
	Ahead int  // of the same way
	Busy  bool // every server was busy or somebody was ahead: there was something to forecast
	Start forecast.Range
	Ready forecast.Range
}

// Serving is a request in service.
type Serving struct {
	Way Way
	forecast.Busy
}

// WaitingGroup counts who waits alike.
type WaitingGroup struct {
	Way Way
	forecast.Group
}

// ForecastKept counts how often the first forecasts of a plan were kept.
type ForecastKept struct {
	Plan               string
	Started            int // with a forecast
	StartP50, StartP90 int // of those, the ones that started within it
	// Waited and the two below count only those who found every server busy: for the others zero was no art.
	Waited, WaitedP50, WaitedP90 int
	Ready, ReadyP50, ReadyP90    int
}

// Add adds another plan's counts.
func (k *ForecastKept) Add(o ForecastKept) {
	k.Started += o.Started
	k.StartP50 += o.StartP50
	k.StartP90 += o.StartP90
	k.Waited += o.Waited
	k.WaitedP50 += o.WaitedP50
	k.WaitedP90 += o.WaitedP90
	k.Ready += o.Ready
	k.ReadyP50 += o.ReadyP50
	k.ReadyP90 += o.ReadyP90
}

// ForecastStore gives the model its history: rows after a time, the newest n of them, oldest first.
type ForecastStore interface {
	RecentServices(ctx context.Context, w Way, after time.Time, n int) ([]forecast.Service, error)
	RecentArrivals(ctx context.Context, w Way, after time.Time, n int) ([]forecast.Arrival, error)
	RecentOutcomes(ctx context.Context, w Way, after time.Time, n int) ([]forecast.Outcome, error)
	InService(ctx context.Context) ([]Serving, error)
	WaitingGroups(ctx context.Context) ([]WaitingGroup, error)
	ForecastRecord(ctx context.Context, since time.Time) ([]ForecastKept, error)
	// RecentClaimers counts the operators who claimed since then.
	RecentClaimers(ctx context.Context, since time.Time) (int, error)
	// PendingSince locks up to n requests below the highest priority that joined, or were last raised, before then.
	PendingSince(ctx context.Context, before time.Time, n int) ([]*Request, error)
}

// What a backend is assumed to take until enough were measured: the hub itself a few seconds, a person the better part of an hour.
var priors = map[Way]forecast.Assumed{
	Automatic:  {P50: time.Second, P90: 5 * time.Second},
	ByOperator: {P50: 30 * time.Minute, P90: 2 * time.Hour},
}

const (
	outlookLife  = 2 * time.Second  // of a forecast while things change
	outlookStill = 10 * time.Second // while nothing does but the time
	workingIf    = 15 * time.Minute // an operator who did nothing for longer is not working
	staffFrom    = 7 * 24 * time.Hour
	groupsUpTo   = 20_000 // a longer line is not counted by plan anew each time

	forecastSeed = 1 // equal histories give equal forecasts on every hub
)

var ways = []Way{Automatic, ByOperator}

// forecaster keeps the model of each way and what it says now. It learns from the database, so every hub learns the same.
type forecaster struct {
	mu      sync.Mutex // one learns at a time
	learned time.Time  // the database's time up to which it has
	models  map[Way]*forecast.Model
	groups  []WaitingGroup
	counted time.Time

	dirty atomic.Bool
	now   atomic.Pointer[outlook]
}

// outlook is what the models say at one moment; it never changes.
type outlook struct {
	made    time.Time // process clock
	waiting map[Way]int
	lines   map[Way]forecast.Line
	curves  map[Way]*forecast.Curve
	models  map[Way]*forecast.Model
	alone   sync.Map // way+plan → Answer for somebody whose service begins now
}

func newForecaster() *forecaster {
	f := &forecaster{models: map[Way]*forecast.Model{}}
	for _, w := range ways {
		f.models[w] = forecast.New(priors[w], forecastSeed)
	}
	return f
}

// outlook gives the forecast of now for somebody with so many of his way ahead. It is made anew when it is too old, or knows a much
// shorter line; while one caller does so the others go on with the one there is.
func (s *Service) outlook(ctx context.Context, w Way, ahead int) (*outlook, error) {
	f := s.forecaster
	if o := f.fresh(w, ahead); o != nil {
		return o, nil
	}
	if o := f.now.Load(); o != nil {
		if !f.mu.TryLock() {
			return o, nil
		}
	} else {
		f.mu.Lock()
		if o := f.now.Load(); o != nil { // somebody else has made the first one
			f.mu.Unlock()
			return o, nil
		}
	}
	defer f.mu.Unlock()
	f.dirty.Store(false)
	o, err := view(ctx, s, func(tx Tx) (*outlook, error) { return s.learn(ctx, tx) })
	if err != nil {
		f.dirty.Store(true)
		if last := f.now.Load(); last != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "the forecast could not be made anew; the last one stands", "error", err)
			return last, nil
		}
		return nil, err
	}
	f.now.Store(o)
	return o, nil
}

// fresh gives the forecast of now if it is one for somebody with so many of his way ahead, else nil.
func (f *forecaster) fresh(w Way, ahead int) *outlook {
	o := f.now.Load()
	if o == nil || ahead > o.waiting[w]+2+o.waiting[w]/10 {
		return nil
	}
	if age := time.Since(o.made); age > outlookStill || (age > outlookLife && f.dirty.Load()) {
		return nil
	}
	return o
}

// learn teaches the models what happened since the last time, and asks them. The caller holds f.mu.
func (s *Service) learn(ctx context.Context, tx Tx) (*outlook, error) {
	f := s.forecaster
	for _, w := range ways {
		if err := f.teach(ctx, tx, w); err != nil {
			return nil, err
		}
	}
	f.learned = tx.Now()
	o := &outlook{made: time.Now(), waiting: map[Way]int{}, lines: map[Way]forecast.Line{}, curves: map[Way]*forecast.Curve{}, models: f.models}
	serving, err := tx.InService(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.countGroups(ctx, tx); err != nil {
		return nil, err
	}
	for _, w := range ways {
		l := forecast.Line{Now: tx.Now()}
		if l.Servers, l.Changes, err = s.servers(ctx, tx, w); err != nil {
			return nil, err
		}
		for _, b := range serving {
			if b.Way == w {
				l.InService = append(l.InService, b.Busy)
			}
		}
		for _, g := range f.groups {
			if g.Way == w {
				l.Waiting = append(l.Waiting, g.Group)
				o.waiting[w] += g.Count
			}
		}
		o.lines[w], o.curves[w] = l, f.models[w].Curve(l)
	}
	return o, nil
}

func (f *forecaster) teach(ctx context.Context, tx Tx, w Way) error {
	m := f.models[w]
	arrivals, err := tx.RecentArrivals(ctx, w, f.learned, forecast.KeepArrivals)
	if err != nil {
		return err
	}
	services, err := tx.RecentServices(ctx, w, f.learned, forecast.KeepServices)
	if err != nil {
		return err
	}
	outcomes, err := tx.RecentOutcomes(ctx, w, f.learned, forecast.KeepOutcomes)
	if err != nil {
		return err
	}
	for _, a := range arrivals {
		m.Arrived(a)
	}
	for _, v := range services {
		m.Served(v)
	}
	for _, o := range outcomes {
		m.Outcome(o)
	}
	return nil
}

// countGroups counts the line by plan; a long one is counted rarely, since its mix changes slowly.
func (s *Service) countGroups(ctx context.Context, tx Tx) error {
	f := s.forecaster
	if s.line.idx.Len() > groupsUpTo && tx.Now().Sub(f.counted) < 30*time.Second {
		return nil
	}
	g, err := tx.WaitingGroups(ctx)
	if err != nil {
		return err
	}
	f.groups, f.counted = g, tx.Now()
	return nil
}

// servers gives how many work now, and the changes that are announced by the operators' working hours.
func (s *Service) servers(ctx context.Context, tx Tx, w Way) (n int, changes []forecast.Change, err error) {
	if w == Automatic {
		live, err := tx.LiveInstances(ctx, tx.Now().Add(-deadAfter))
		for _, i := range live {
			n += i.Workers
		}
		return n, nil, err
	}
	working, err := tx.OperatorsWorking(ctx, tx.Now().Add(-workingIf))
	if err != nil || s.hours == nil {
		return working, nil, err
	}
	claimers, err := tx.RecentClaimers(ctx, tx.Now().Add(-staffFrom))
	if err != nil {
		return 0, nil, err
	}
	staff := max(working, claimers, 1)
	open, changes := s.hours.Changes(tx.Now(), staff)
	if !open {
		return 0, changes, nil
	}
	return max(working, 1), changes, nil
}

// estimate gives the time to start and to ready of a request with so many of its way ahead; zero for the start of what has started. why
// says in words why nothing can be said.
func (o *outlook) estimate(r *Request, ahead int, now time.Time) (start, ready Estimate, why string) {
	switch {
	case r.State.Final():
		zero := Estimate{Basis: forecast.Measured}
		return zero, zero, ""
	case r.State == Failed:
		return Estimate{Basis: forecast.Unknown}, Estimate{Basis: forecast.Unknown}, ""
	case r.State == Pending:
		a := o.curves[r.Way].At(ahead, r.Priority, r.Plan)
		return Estimate{a.Start.P50, a.Start.P90, a.Basis}, Estimate{a.Ready.P50, a.Ready.P90, a.Basis}, a.Why
	}
	a := o.service(r.Way, r.Plan, now)
	var spent time.Duration
	if r.ClaimedAt != nil {
		spent = max(0, now.Sub(*r.ClaimedAt))
	}
	return Estimate{Basis: a.Basis}, Estimate{max(0, a.Ready.P50-spent), max(0, a.Ready.P90-spent), a.Basis}, ""
}

// service gives how long the service of a plan takes once it has begun.
func (o *outlook) service(w Way, plan string, now time.Time) forecast.Answer {
	key := string(w) + " " + plan
	if a, ok := o.alone.Load(key); ok {
		return a.(forecast.Answer)
	}
	a := o.models[w].At(forecast.Line{Now: now, Servers: 1}, 0, plan)
	o.alone.Store(key, a)
	return a
}

// first is the forecast to be kept with a request that joins now; without an outlook it is unknown.
func (o *outlook) first(r *Request, ahead int) *FirstForecast {
	if o == nil {
		return &FirstForecast{Basis: forecast.Unknown, Ahead: ahead, Busy: ahead > 0}
	}
	a := o.curves[r.Way].At(ahead, r.Priority, r.Plan)
	l := o.lines[r.Way]
	return &FirstForecast{Basis: a.Basis, Ahead: ahead, Busy: ahead > 0 || len(l.InService) >= l.Servers, Start: a.Start, Ready: a.Ready}
}
