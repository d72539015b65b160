package forecast

import (
	"math"
	"slices"
	"sync"
	"time"
)

// How much of the past is used, so how many of the latest rows to read for Learn. A service window of 2,000 gives the mean of exponential times to 2 %, and its 99th percentile 20 samples.
const (
	KeepServices = 2000
	KeepArrivals = 6000
	KeepOutcomes = 2000
)

// Service is one measured service: what hub knows of a request that was claimed and ended.
type Service struct {
	Plan       string
	Start, End time.Time
}

// Arrival is one request that joined the line. A greater Class is served first.
type Arrival struct {
	At    time.Time
	Class int
	Plan  string
}

// Outcome is what became of a forecast that was given on arrival to somebody who had to wait.
type Outcome struct {
	At       time.Time     // when it was given
	Class    int           // of the customer
	Ahead    int           // in the line at that time, 0 or more
	P50, P90 time.Duration // as given
	Wait     time.Duration // until the start; or until now if it has not started
	Waiting  bool          // it has not started
}

// History is what the model learns from, each slice in order of time (services by their end, outcomes by when they were given).
// Any of them may be empty or cut off at the old end.
type History struct {
	Services []Service
	Arrivals []Arrival
	Outcomes []Outcome
	Since    time.Time // when the record of arrivals begins; zero: at the first of them
}

// Model holds what was learned of one way of service. It is safe for concurrent use; forecasts run beside one another.
type Model struct {
	mu       sync.Mutex
	prior    Assumed
	seed     uint64
	origin   time.Time
	hasBegun bool
	plans    map[string]int
	services []sample
	arrivals []arrival
	since    float64 // seconds from origin
	cal      calibrator

	fit   *fit
	dirty bool
	flows map[int]*flow // arrivals above a class
}

type sample struct {
	plan int
	d    float64 // seconds, above 0
}

type arrival struct {
	at          float64 // seconds from origin
	class, plan int
}

// New makes a model that knows nothing but the prior. Equal histories and seeds give equal forecasts.
func New(prior Assumed, seed uint64) *Model {
	return &Model{prior: prior, seed: seed, plans: map[string]int{}, dirty: true, flows: map[int]*flow{}}
}

// Learn makes a model from history, as rows of a database give it.
func Learn(h History, prior Assumed, seed uint64) *Model {
	m := New(prior, seed)
	if !h.Since.IsZero() {
		m.seconds(h.Since)
	}
	for _, a := range h.Arrivals {
		m.Arrived(a)
	}
	for _, s := range h.Services {
		m.Served(s)
	}
	for _, o := range h.Outcomes[max(0, len(h.Outcomes)-KeepOutcomes):] {
		m.Outcome(o)
	}
	return m
}

// Arrived teaches one arrival.
func (m *Model) Arrived(a Arrival) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.seconds(a.At)
	if n := len(m.arrivals); n > 0 {
		at = max(at, m.arrivals[n-1].at) // a clock set back: they came in this order all the same
	}
	if len(m.arrivals) >= 2*KeepArrivals {
		m.arrivals = slices.Delete(m.arrivals, 0, KeepArrivals)
		m.since = m.arrivals[0].at
	}
	m.arrivals = append(m.arrivals, arrival{at: at, class: a.Class, plan: m.plan(a.Plan)})
	clear(m.flows)
}

// Served teaches one service that ended. One that ended before it began (a clock set back) teaches nothing.
func (m *Model) Served(s Service) {
	d := s.End.Sub(s.Start).Seconds()
	if d < 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.services) >= 2*KeepServices {
		m.services = slices.Delete(m.services, 0, KeepServices)
	}
	m.services = append(m.services, sample{plan: m.plan(s.Plan), d: max(d, 1e-6)})
	m.dirty = true
}

// Outcome teaches how a forecast turned out. Tell each once, when it is settled: at its start, or as Waiting once it has waited longer
// than its P90 (which is then known to be missed; its P50 is too).
func (m *Model) Outcome(o Outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cal.learn(o)
}

// Samples is how many service times the model rests on.
func (m *Model) Samples() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.services)
}

// refit brings the fit up to date.
func (m *Model) refit() {
	if m.dirty || m.fit == nil {
		window := m.services[max(0, len(m.services)-KeepServices):]
		m.fit = newFit(window, len(m.plans), m.prior)
		m.dirty = false
	}
}

func (m *Model) plan(name string) int {
	i, ok := m.plans[name]
	if !ok {
		i = len(m.plans)
		m.plans[name] = i
		m.dirty = true
	}
	return i
}

func (m *Model) seconds(t time.Time) float64 {
	if !m.hasBegun {
		m.origin, m.hasBegun = t, true
	}
	return t.Sub(m.origin).Seconds()
}

// Line is the state of one way's line at one moment.
type Line struct {
	Now       time.Time
	Servers   int      // working now, idle or not; below 0 counts as 0
	Changes   []Change // announced for later, in order of time
	InService []Busy
	Waiting   []Group // in order of the line; groups of one class that follow each other count as evenly mixed
}

// With gives the line under another staffing, from now on and without the announced changes: the what-if question.
func (l Line) With(servers int) Line {
	l.Servers, l.Changes = servers, nil
	return l
}

// Change is an announced number of servers from a time on.
type Change struct {
	At      time.Time
	Servers int
}

// Busy is a customer in service.
type Busy struct {
	Plan  string
	Since time.Time
}

// Group is a number of waiting customers alike.
type Group struct {
	Class int
	Plan  string
	Count int
}

// Answer is the forecast for one place.
type Answer struct {
	Start Range // until service begins
	Ready Range // until it ends
	Basis Basis
	Why   string // why it is unknown, for people; else empty
}

// At forecasts for a customer of that class and plan with everybody in l.Waiting ahead, whatever their class.
func (m *Model) At(l Line, class int, plan string) Answer {
	total := 0
	for _, g := range l.Waiting {
		total += max(0, g.Count)
	}
	s := m.prepare(l, []int{total}, class, plan)
	points := s.simulate()
	return s.answer(&points[0], 0, s.plans[0])
}

// answer makes quantiles of scenarios and corrects them by the model's own record.
func (r *run) answer(p *point, at, plan int) Answer {
	start, why := quantiles(p.start)
	ready, _ := quantiles(p.ready[plan])
	if why != "" {
		if r.c0 == 0 && len(r.change) == 0 {
			why = whyNobody
		}
		return Answer{Basis: Unknown, Why: why}
	}
	c50, c90 := r.correct[at][0], r.correct[at][1]
	spread := 0.0
	if start[0] > 0 {
		spread = min(3, max(0.05, math.Log(start[1]/start[0])))
	}
	p50, p90 := start[0]*math.Exp(c50*spread), start[1]*math.Exp(c90*spread)
	p50 = min(p50, p90)
	// What moves the start moves the end by as much.
	r50 := max(p50, ready[0]+p50-start[0])
	r90 := max(p90, r50, ready[1]+p90-start[1])
	return Answer{Start: Range{seconds(p50), seconds(p90)}, Ready: Range{seconds(r50), seconds(r90)}, Basis: r.basis}
}

// quantiles gives the median and 90th percentile; with S scenarios the rank q·(S+1) has expected coverage q exactly.
func quantiles(all []float64) (q [2]float64, why string) {
	slices.Sort(all)
	n := len(all)
	finite := n
	for finite > 0 && math.IsInf(all[finite-1], 1) {
		finite--
	}
	i50, i90 := (n+1)/2-1, (n+1)*9/10-1
	if i50 >= finite {
		return q, whyNobodyLater
	}
	// Past the last announced hour nothing is known; the longest wait that still ends before it is the best that can be said.
	return [2]float64{all[i50], all[min(i90, finite-1)]}, ""
}

const (
	whyNobody      = "Nobody is working and nobody is announced."
	whyNobodyLater = "Those who work leave before this turn comes, and nobody is announced after them."
)
