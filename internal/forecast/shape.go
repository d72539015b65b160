package forecast

import (
	"math"
	"slices"
	"sort"
)

// tail is a generalised Pareto distribution above a threshold (Pickands 1975), by probability-weighted moments (Hosking and Wallis 1987).
type tail struct{ threshold, scale, xi float64 }

func newShape(values []float64) shape {
	s := shape{sorted: slices.Sorted(slices.Values(values))}
	n := len(s.sorted)
	if n < 2 {
		return s
	}
	k := min(n-1, max(10, n/10))
	s.tail.threshold = s.sorted[n-1-k]
	var a0, a1 float64
	for i := range k {
		x := s.sorted[n-k+i] - s.tail.threshold
		a0 += x
		a1 += x * (float64(k-i) - 0.5) / float64(k)
	}
	a0, a1 = a0/float64(k), a1/float64(k)
	if d := a0 - 2*a1; d > 1e-12*a0 {
		s.tail.xi = min(0.8, max(0, 2-a0/d))
	}
	s.tail.scale = a0 * (1 - s.tail.xi) // keeps the mean excess also where xi was drawn in
	return s
}

// excess draws how much further than x, above the threshold, it goes.
func (t tail) excess(x, u float64) float64 {
	scale := t.scale + t.xi*max(0, x-t.threshold)
	if t.xi < 1e-6 {
		return -scale * math.Log(u)
	}
	return scale * (math.Pow(u, -t.xi) - 1) / t.xi
}

// draw gives the value at probability u: linear between the samples, the tail beyond the last.
func (s *shape) draw(u float64) float64 {
	n := len(s.sorted)
	if n == 0 {
		return 0
	}
	x := u*float64(n+1) - 1
	switch i := int(math.Floor(x)); {
	case i < 0:
		return s.sorted[0] * (x + 1)
	case i >= n-1:
		last := s.sorted[n-1]
		return last + s.tail.excess(last, float64(n+1)*(1-u))
	default:
		lo := s.sorted[i]
		return lo + (s.sorted[i+1]-lo)*(x-float64(i))
	}
}

// rest gives how much longer than elapsed it takes, given that it takes longer: the conditional residual life.
func (s *shape) rest(elapsed, u float64) float64 {
	const few = 8
	n := len(s.sorted)
	i := sort.SearchFloat64s(s.sorted, elapsed)
	above := n - i
	switch {
	case n == 0:
		return 0
	case above >= few:
		// The share of (0, 1) above elapsed, interpolated as draw does.
		lo := float64(i)
		if i > 0 && s.sorted[i] > s.sorted[i-1] {
			lo += (elapsed - s.sorted[i-1]) / (s.sorted[i] - s.sorted[i-1])
		} else if i == 0 && s.sorted[0] > 0 {
			lo = elapsed / s.sorted[0]
		}
		lo /= float64(n + 1)
		return max(0, s.draw(lo+(1-lo)*u)-elapsed)
	default:
		return max(0, s.tail.excess(elapsed, 1-u))
	}
}

// normalQuantile is the inverse of the standard normal distribution (Acklam 2003; relative error below 1.2e-9).
func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }
