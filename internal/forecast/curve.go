package forecast

import (
	"maps"
	"math"
	"sort"
	"time"
)

// Curve is the forecast of every place of a line, computed at some of them.
type Curve struct {
	empty *Answer
	knots []knot
	plans map[string]int
}

type knot struct {
	place int // 0-based: customers ahead
	class int
	start Range
	basis Basis
	why   string
	ready map[int]Range
}

// Curve computes the forecast of the whole line at about forty places a class, more densely to the front. It costs about a fifth of a
// millisecond a place, however long the line; Curve.At is then a look-up.
func (m *Model) Curve(l Line) *Curve {
	c := &Curve{}
	from := 0
	for i := 0; i < len(l.Waiting); {
		j, n := i, 0
		class := l.Waiting[i].Class
		for j < len(l.Waiting) && l.Waiting[j].Class == class {
			n += max(0, l.Waiting[j].Count)
			j++
		}
		if n > 0 {
			part := l
			part.Waiting = l.Waiting[:j]
			c.add(m, part, class, knots(from, from+n)) // one past the end: who joins next
		}
		from += n
		i = j
	}
	if len(c.knots) == 0 {
		f := m.At(l, 0, "")
		c.empty = &f
	}
	m.mu.Lock()
	c.plans = maps.Clone(m.plans)
	m.mu.Unlock()
	return c
}

func (c *Curve) add(m *Model, l Line, class int, places []int) {
	run := m.prepare(l, places, class, l.Waiting[len(l.Waiting)-1].Plan)
	points := run.simulate()
	for i := range points {
		k := knot{place: places[i], class: class, ready: map[int]Range{}}
		for p := range points[i].ready {
			f := run.answer(&points[i], i, p)
			k.start, k.basis, k.why, k.ready[p] = f.Start, f.Basis, f.Why, f.Ready
		}
		if n := len(c.knots); n > 0 && c.knots[n-1].class == class && k.basis != Unknown { // nobody waits less than the one before
			prev := c.knots[n-1]
			k.start = k.start.atLeast(prev.start)
			for p, r := range k.ready {
				k.ready[p] = r.atLeast(prev.ready[p])
			}
		}
		c.knots = append(c.knots, k)
	}
}

func (r Range) atLeast(o Range) Range { return Range{max(r.P50, o.P50), max(r.P90, o.P90)} }

// knots spreads places from a to b, both included: each of the first, then further and further apart.
func knots(a, b int) []int {
	var all []int
	step := 1.0
	for x := float64(a); x < float64(b); x += step {
		all = append(all, int(x))
		if len(all) > 8 {
			step = math.Floor(step*1.35 + 1)
		}
	}
	return append(all, b)
}

// At gives the forecast of a customer of a class and plan with so many ahead.
func (c *Curve) At(ahead, class int, plan string) Answer {
	if c.empty != nil {
		return *c.empty
	}
	p, known := c.plans[plan]
	lo := sort.Search(len(c.knots), func(i int) bool { return c.knots[i].class < class })
	first := sort.Search(len(c.knots), func(i int) bool { return c.knots[i].class <= class })
	if first == lo { // nobody of the class waits: the nearest place tells
		first, lo = 0, len(c.knots)
	}
	ks := c.knots[first:lo]
	i := sort.Search(len(ks), func(i int) bool { return ks[i].place >= ahead })
	i = min(i, len(ks)-1)
	k := ks[i]
	if k.basis == Unknown {
		return Answer{Basis: Unknown, Why: k.why}
	}
	f := Answer{Start: k.start, Ready: k.of(p, known), Basis: k.basis}
	if i > 0 && ahead < k.place {
		prev := ks[i-1]
		x := max(0, float64(ahead-prev.place)/float64(k.place-prev.place))
		f.Start = prev.start.mix(k.start, x)
		f.Ready = prev.of(p, known).mix(k.of(p, known), x)
	}
	return f
}

func (k *knot) of(plan int, known bool) Range {
	if r, ok := k.ready[plan]; ok && known {
		return r
	}
	best, at := Range{}, math.MaxInt
	for p, r := range k.ready { // a plan that nobody there has: any, but always the same
		if p < at {
			best, at = r, p
		}
	}
	return best
}

func (r Range) mix(o Range, x float64) Range {
	part := func(a, b time.Duration) time.Duration { return a + time.Duration(x*float64(b-a)) }
	return Range{part(r.P50, o.P50), part(r.P90, o.P90)}
}
