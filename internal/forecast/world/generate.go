package world

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
)

// Maker makes a world of so many customers from a seed.
type Maker struct {
	Name string
	Kind string
	make func(*maker)
}

// Make makes the world; the same seed and n give the same.
func (m Maker) Make(seed int64, n int) *World {
	h := fnv.New64a()
	_, _ = h.Write([]byte(m.Name))                                                                                   // never fails
	b := &maker{n: n, rnd: rand.New(rand.NewPCG(uint64(seed), h.Sum64())), World: World{Name: m.Name, Kind: m.Kind}} //nolint:gosec // worlds are to be repeated, not secret
	b.mix = []share{{"starter", 1}}
	m.make(b)
	b.fill()
	return &b.World
}

type share struct {
	plan string
	part float64
}

// maker holds the parameters of a world while it is made; times in seconds.
type maker struct {
	World
	n       int
	rnd     *rand.Rand
	mix     []share
	rate    func(t float64) float64 // arrivals a second of all plans
	top     float64                 // bound of rate
	storm   func(t float64) float64 // arrivals a second of enterprise besides
	stormed float64                 // bound of storm
	service func(t float64, plan string) float64
}

const (
	minute = 60.0
	hour   = 3600.0
	day    = 86400.0
)

// span is about how long the world lasts at a rate.
func (b *maker) span(rate float64) float64 { return float64(b.n) / rate }

func (b *maker) servers(count int) { b.Servers = []Staffing{{0, count, true}} }

func (b *maker) staff(at float64, count int, announced bool) {
	b.Servers = append(b.Servers, Staffing{at, count, announced})
}

// steadily sets a constant rate so that the servers are busy for the share load of the time.
func (b *maker) steadily(load, mean float64) float64 {
	r := load * float64(b.Servers[0].Count) / mean
	b.rate, b.top = func(float64) float64 { return r }, r
	return r
}

// fill draws the customers by thinning (Lewis and Shedler 1979).
func (b *maker) fill() {
	t, total := 0.0, b.top+b.stormed
	for len(b.Customers) < b.n {
		t += b.rnd.ExpFloat64() / total
		u := b.rnd.Float64() * total
		plan := ""
		switch {
		case u < b.top:
			if u < b.rate(t) {
				plan = b.plan()
			}
		case b.storm != nil && u-b.top < b.storm(t):
			plan = "enterprise"
		}
		if plan != "" {
			b.Customers = append(b.Customers, Customer{round(t), plan, round(b.service(t, plan))})
		}
	}
}

// round keeps milliseconds: what a trace can say.
func round(s float64) float64 { return math.Round(s*1000) / 1000 }

func (b *maker) plan() string {
	total := 0.0
	for _, s := range b.mix {
		total += s.part
	}
	u := b.rnd.Float64() * total
	for _, s := range b.mix {
		if u -= s.part; u < 0 {
			return s.plan
		}
	}
	return b.mix[len(b.mix)-1].plan
}

// The distributions, each by its mean.

func (b *maker) exponential(mean float64) float64 { return mean * b.rnd.ExpFloat64() }

func (b *maker) lognormal(mean, sigma float64) float64 {
	return mean * math.Exp(sigma*b.rnd.NormFloat64()-sigma*sigma/2)
}

func (b *maker) pareto(mean, alpha float64) float64 {
	return mean * (alpha - 1) / alpha * math.Pow(1-b.rnd.Float64(), -1/alpha)
}

// gates switches between phases of exponential lengths, of the given means, starting with the first; it tells the phase at t (ascending).
func (b *maker) gates(means ...float64) func(t float64) int {
	phase, until := 0, means[0]*b.rnd.ExpFloat64()
	return func(t float64) int {
		for t >= until {
			phase = (phase + 1) % len(means)
			until += means[phase] * b.rnd.ExpFloat64()
		}
		return phase
	}
}

// clock gives the hour of the day, 0 to 24.
func clock(t float64) float64 { return math.Mod(t, day) / hour }
