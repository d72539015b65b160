package forecast

import (
	"cmp"
	"math"
	"slices"
)

const (
	// scenarios is one less than a multiple of ten, so that ranks 100 and 180 of them are the median and the 90th percentile exactly.
	scenarios = 199
	// exactlyLeast and exactlyMost bound how many customers a scenario serves one by one, more with more servers, whose order matters further
	// down; what is beyond is reckoned by sums.
	exactlyLeast, exactlyMost = 28, 64
	// longest is the horizon in seconds (about ten years): what would take longer ends there, so that nothing is infinite.
	longest = 3e8
)

// point is one place of the line in all scenarios.
type point struct {
	start []float64
	ready map[int][]float64 // by plan
}

// run is what all scenarios of one simulation share.
type run struct {
	seed    uint64
	basis   Basis
	quiet   float64      // seconds; see replay
	correct [][2]float64 // of p50 and p90, by point
	fit     *fit
	flow    *flow
	c0      int
	change  []step // announced
	busy    []busy
	order   []int // plans of the first customers, in the order of service
	mix     []mixture
	points  []int
	plans   []int // whose time to ready is wanted
}

type step struct {
	at float64
	c  int
}

type busy struct {
	plan    int
	elapsed float64
}

// mixture is a stretch of the line: from place from (0-based) on, so many of each plan, evenly mixed.
type mixture struct {
	from, n int
	plans   []int
	counts  []int
}

// world is the state of one scenario.
type world struct {
	*run
	r       rng
	t       float64
	ends    heap
	factor  []float64 // of each plan's mean: what we may be wrong by
	a       float64   // the level, as a logarithm
	replay  replay
	pending []int // plans of those who overtook and wait
	passed  int   // announced changes

	believed int // how many more may overtake
	out      []point
	s        int // number of this scenario
}

// prepare gathers all that the scenarios need, under the lock. All places (0-based, ascending) must be of the class; arrivals of a higher
// class will go before them.
func (m *Model) prepare(l Line, places []int, class int, plan string) *run {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.seconds(l.Now)
	r := &run{seed: m.seed, c0: max(0, l.Servers), points: places, plans: []int{m.plan(plan)}, basis: Measured}
	if len(m.services) < MinSamples {
		r.basis = Prior
	}
	for _, c := range l.Changes {
		if at := m.seconds(c.At) - now; at > 0 {
			r.change = append(r.change, step{at, max(0, c.Servers)})
		} else {
			r.c0 = max(0, c.Servers) // already in force
		}
	}
	slices.SortStableFunc(r.change, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	for _, b := range l.InService {
		r.busy = append(r.busy, busy{m.plan(b.Plan), max(0, now-m.seconds(b.Since))})
	}
	r.lay(m, l)
	for _, x := range r.mix {
		for _, p := range x.plans {
			if !slices.Contains(r.plans, p) {
				r.plans = append(r.plans, p)
			}
		}
	}
	m.refit()
	r.fit, r.flow = m.fit, m.flowAbove(class, now)
	r.quiet = 2 * m.fit.plans[r.plans[0]].mean / float64(max(1, r.c0))
	for _, ahead := range places {
		c50, c90 := m.cal.factors(class, ahead)
		r.correct = append(r.correct, [2]float64{c50, c90})
	}
	return r
}

// simulate lives through the line scenarios times and notes when the customers at the places begin.
func (r *run) simulate() []point {
	out := make([]point, len(r.points))
	for i := range out {
		out[i] = point{start: make([]float64, scenarios), ready: make(map[int][]float64, len(r.plans))}
		for _, p := range r.plans {
			out[i].ready[p] = make([]float64, scenarios)
		}
	}
	w := world{run: r, out: out, factor: make([]float64, len(r.fit.plans))}
	for s := range scenarios {
		w.begin(r.seed, s)
		w.live()
	}
	return out
}

// lay spreads the groups over the places.
func (r *run) lay(m *Model, l Line) {
	at, class := 0, 0
	limit := min(exactlyMost, exactlyLeast+2*min(r.c0, exactlyMost))
	for _, g := range l.Waiting {
		if g.Count <= 0 {
			continue
		}
		if len(r.mix) == 0 || g.Class != class {
			r.mix = append(r.mix, mixture{from: at})
			class = g.Class
		}
		x := &r.mix[len(r.mix)-1]
		x.plans, x.counts = append(x.plans, m.plan(g.Plan)), append(x.counts, g.Count)
		x.n += g.Count
		at += g.Count
	}
	for _, x := range r.mix {
		credit := make([]float64, len(x.plans))
		for range min(x.n, limit-len(r.order)) { // largest credit next: evenly mixed
			best := 0
			for j := range credit {
				credit[j] += float64(x.counts[j]) / float64(x.n)
				if credit[j] > credit[best] {
					best = j
				}
			}
			credit[best]--
			r.order = append(r.order, x.plans[best])
		}
	}
}

func (w *world) begin(seed uint64, s int) {
	w.s, w.t, w.a, w.passed = s, 0, 0, 0
	w.r = newRNG(seed, uint64(s)) //nolint:gosec // a number of a scenario
	w.pending, w.ends = w.pending[:0], w.ends[:0]
	for p := range w.factor {
		w.factor[p] = w.fit.plans[p].scale * math.Exp(w.fit.plans[p].doubt*w.r.normal())
	}
	if w.fit.level.share > 0 {
		w.a = w.fit.level.now + math.Sqrt(w.fit.level.doubt)*w.r.normal()
	}
	w.replay = w.flow.replay(&w.r, w.quiet)
	scale := math.Exp(w.a)
	for _, b := range w.busy {
		f := w.factor[b.plan] * scale
		w.ends.push(w.fit.plans[b.plan].shape.rest(b.elapsed/f, w.r.uniform()) * f)
	}
}

// draw gives the service time of the next customer of a plan.
func (w *world) draw(plan int) float64 {
	if l := &w.fit.level; l.share > 0 {
		w.a = w.a*l.phi + l.noise*w.r.normal()
		return w.fit.plans[plan].shape.draw(w.r.uniform()) * w.factor[plan] * math.Exp(w.a)
	}
	return w.fit.plans[plan].shape.draw(w.r.uniform()) * w.factor[plan]
}

// count gives the working servers now and when that changes next.
func (w *world) count() (c int, until float64) {
	for w.passed < len(w.change) && w.change[w.passed].at <= w.t {
		w.passed++
	}
	c, until = w.c0, math.Inf(1)
	if w.passed > 0 {
		c = w.change[w.passed-1].c
	}
	if w.passed < len(w.change) {
		until = w.change[w.passed].at
	}
	return c, until
}

// free goes on to when a server can take somebody; false if none ever can.
func (w *world) free() bool {
	for {
		c, until := w.count()
		if len(w.ends) < c {
			return true
		}
		next := until
		if len(w.ends) > 0 {
			next = min(next, w.ends[0])
		}
		if math.IsInf(next, 1) {
			return false
		}
		w.t = max(w.t, next)
		for len(w.ends) > 0 && w.ends[0] <= w.t {
			w.ends.pop()
		}
	}
}

// live runs one scenario: one by one as far as it matters, then by sums.
func (w *world) live() {
	at, place := 0, 0
	for budget := 4 * exactlyMost; at < len(w.points); budget-- {
		if !w.free() {
			w.never(at)
			return
		}
		for w.replay.peek() <= w.t {
			w.pending = append(w.pending, w.replay.pop().plan)
			if len(w.pending) > budget {
				break
			}
		}
		switch {
		case budget <= 0 || (place >= len(w.order) && w.points[at] > place):
			w.sums(at, place)
			return
		case len(w.pending) > 0:
			last := len(w.pending) - 1
			w.ends.push(w.t + w.draw(w.pending[last]))
			w.pending = w.pending[:last]
			continue
		}
		for at < len(w.points) && w.points[at] == place {
			w.note(at)
			at++
		}
		if place < len(w.order) {
			w.ends.push(w.t + w.draw(w.order[place]))
		}
		place++
	}
}

func (w *world) note(at int) {
	t := min(w.t, longest)
	w.out[at].start[w.s] = t
	a := w.a
	for _, p := range w.plans {
		w.out[at].ready[p][w.s] = min(longest, t+w.draw(p))
	}
	w.a = a
}

// never notes that nobody ever comes to the rest.
func (w *world) never(at int) {
	for ; at < len(w.points); at++ {
		w.out[at].start[w.s] = math.Inf(1)
		for _, p := range w.plans {
			w.out[at].ready[p][w.s] = math.Inf(1)
		}
	}
}

// heap is a binary min-heap of times.
type heap []float64

func (h *heap) push(x float64) {
	*h = append(*h, x)
	s := *h
	i := len(s) - 1
	for i > 0 {
		up := (i - 1) / 2
		if s[up] <= x {
			break
		}
		s[i] = s[up]
		i = up
	}
	s[i] = x
}

func (h *heap) pop() {
	s := *h
	n := len(s) - 1
	x := s[n]
	s = s[:n]
	*h = s
	if n == 0 {
		return
	}
	i := 0
	for {
		c := 2*i + 1
		if c >= n {
			break
		}
		if c+1 < n && s[c+1] < s[c] {
			c++
		}
		if s[c] >= x {
			break
		}
		s[i] = s[c]
		i = c
	}
	s[i] = x
}
