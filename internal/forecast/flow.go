package forecast

import (
	"math"
	"sort"
)

// flow is the record of arrivals above a class, to be lived through again: a scenario begins at a moment of the past and takes what came
// after it (circular block bootstrap: Politis and Romano 1992), so bursts stay bursts. Where the past shows that the rate of the last while tells
// that of the next, moments like now are preferred; likewise the time of day.
type flow struct {
	list       []arrival
	from, to   float64
	doubt      float64   // standard deviation of the logarithm of the rate
	cumulative []float64 // weights of the moments, summed
	mix        []float64 // share of each plan
}

const moments = 256

func (m *Model) flowAbove(class int, now float64) *flow {
	if f := m.flows[class]; f != nil && now >= f.to && now-f.to < 0.02*(f.to-f.from) {
		return f
	}
	list := m.arrivals[max(0, len(m.arrivals)-KeepArrivals):]
	f := &flow{from: m.since, to: now}
	if len(list) < len(m.arrivals) {
		f.from = list[0].at
	}
	for _, a := range list {
		if a.class > class && a.at <= now {
			f.list = append(f.list, a)
		}
	}
	if f.to-f.from <= 0 {
		f.list = nil
	}
	if len(f.list) > 0 {
		f.prepare()
		f.mix = make([]float64, len(m.plans))
		for _, a := range f.list {
			f.mix[a.plan] += 1 / float64(len(f.list))
		}
	}
	m.flows[class] = f
	return f
}

func (f *flow) prepare() {
	n := float64(len(f.list))
	span := f.to - f.from
	grid := make([]float64, moments)
	for i := range grid {
		grid[i] = f.from + span*float64(i)/moments
	}
	weight := make([]float64, moments)
	for i := range weight {
		weight[i] = 1
	}
	disperse := 1.0
	best, width := 0.0, 0.0
	for _, k := range []float64{4, 12, 40} {
		w := k * span / n
		if w > span/12 {
			break
		}
		r, d := f.predictive(w)
		disperse = max(disperse, d)
		if r > best {
			best, width = r, w
		}
	}
	if best > 0.25 {
		f.prefer(weight, grid, width, best)
	}
	f.preferHour(weight, grid)
	f.doubt = math.Sqrt(disperse / (n + 1))
	f.cumulative = weight
	for i := 1; i < moments; i++ {
		f.cumulative[i] += f.cumulative[i-1]
	}
}

// count gives how many came in (a, b].
func (f *flow) count(a, b float64) float64 {
	past := func(t float64) int { return sort.Search(len(f.list), func(i int) bool { return f.list[i].at > t }) }
	return float64(past(b) - past(a))
}

// predictive gives the correlation of the counts of windows that follow each other, and their variance over their mean.
func (f *flow) predictive(width float64) (r, dispersion float64) {
	var counts []float64
	for t := f.from; t+width <= f.to; t += width {
		counts = append(counts, f.count(t, t+width))
	}
	mean, sd := meanSD(counts)
	if sd == 0 || len(counts) < 12 {
		return 0, 1
	}
	for i := 1; i < len(counts); i++ {
		r += (counts[i] - mean) * (counts[i-1] - mean)
	}
	return r/(sd*sd*float64(len(counts)-1)) - 1.5/math.Sqrt(float64(len(counts))), sd * sd / mean
}

func (f *flow) prefer(weight, grid []float64, width, r float64) {
	feature := func(t float64) float64 { return math.Sqrt(f.count(t-width, t)) }
	h := 0.5 + 1.5*(1-min(1, r)) // in roots of counts, where Poisson noise has a deviation of one half
	now := feature(f.to)
	for i, t := range grid {
		if t-width < f.from {
			weight[i] = 0.01
			continue
		}
		d := (feature(t) - now) / h
		weight[i] *= 0.01 + math.Exp(-d*d/2)
	}
}

// preferHour prefers the same time of day where two days or more show that it matters.
func (f *flow) preferHour(weight, grid []float64) {
	const day, hour = 86400.0, 3600.0
	span := f.to - f.from
	if span < 2*day {
		return
	}
	var a, b []float64
	for t := f.from; t+day+hour <= f.to; t += hour {
		a = append(a, f.count(t, t+hour))
		b = append(b, f.count(t+day, t+day+hour))
	}
	ma, sa := meanSD(a)
	mb, sb := meanSD(b)
	if sa == 0 || sb == 0 {
		return
	}
	r := 0.0
	for i := range a {
		r += (a[i] - ma) * (b[i] - mb)
	}
	if r/(sa*sb*float64(len(a))) < 0.3 {
		return
	}
	for i, t := range grid {
		d := math.Mod(f.to-t, day)
		d = min(d, day-d) / hour
		weight[i] *= 0.02 + math.Exp(-d*d/2)
	}
}

// replay is one scenario's walk through the flow.
type replay struct {
	f       *flow
	next    int     // index of the next arrival
	offset  float64 // simulated time of history time 0 at rate 1
	stretch float64 // simulated seconds per second of history
}

// replay begins a scenario's walk. quiet is a time in seconds that is assumed to have passed without an arrival before the record began: in its first
// minutes, two arrivals would else promise a storm for ever.
func (f *flow) replay(r *rng, quiet float64) replay {
	if len(f.list) == 0 {
		return replay{}
	}
	x := r.uniform() * f.cumulative[moments-1]
	i := sort.SearchFloat64s(f.cumulative, x)
	at := f.from + (f.to-f.from)*(float64(min(i, moments-1))+r.uniform())/moments
	stretch := math.Exp(f.doubt*(f.doubt/2-r.normal())) * (1 + quiet/(f.to-f.from))
	p := replay{f: f, stretch: stretch}
	p.offset = -at * p.stretch
	p.next = sort.Search(len(f.list), func(i int) bool { return f.list[i].at > at })
	p.wrap()
	return p
}

// wrap goes on at the old end when the new one is reached.
func (p *replay) wrap() {
	if p.next >= len(p.f.list) {
		p.next = 0
		p.offset += (p.f.to - p.f.from) * p.stretch
	}
}

// peek gives the simulated time of the next arrival, infinite if there is none.
func (p *replay) peek() float64 {
	if p.f == nil {
		return math.Inf(1)
	}
	return p.f.list[p.next].at*p.stretch + p.offset
}

func (p *replay) pop() arrival {
	a := p.f.list[p.next]
	p.next++
	p.wrap()
	return a
}

// skip takes all up to simulated time t at once and says how many; whole rounds through the record are counted, not walked.
func (p *replay) skip(t float64) (n int) {
	if p.f == nil {
		return 0
	}
	round := (p.f.to - p.f.from) * p.stretch
	if rounds := math.Floor((t - p.peek()) / round); rounds >= 1 {
		rounds = min(rounds, 1e9) // more than any line holds
		n += int(rounds) * len(p.f.list)
		p.offset += rounds * round
	}
	for range 3 { // what is left is less than a round, which may begin in this one and end in the next
		if p.peek() > t {
			break
		}
		h := (t - p.offset) / p.stretch
		end := p.next + sort.Search(len(p.f.list)-p.next, func(i int) bool { return p.f.list[p.next+i].at > h })
		n += max(1, end-p.next)
		p.next = max(end, p.next+1)
		p.wrap()
	}
	return n
}
