// The closed formula from before there was a Model: for callers that know no more than how many are ahead. It takes k service times shared by
// c servers as normal (central limit theorem) and knows neither overtaking nor working hours nor who is in service.

package forecast

import (
	"math"
	"slices"
	"time"
)

// MinSamples is how many measured service times it takes before the prior is left.
const MinSamples = 20

// Basis says what a forecast rests on.
type Basis string

// The bases.
const (
	Measured Basis = "measured"
	Prior    Basis = "prior"
	Unknown  Basis = "unknown" // nobody works: no number would be honest
)

// Assumed is the service time that is assumed before there are enough samples.
type Assumed struct{ P50, P90 time.Duration }

// Input is what is known when the forecast is made.
type Input struct {
	Ahead   int             // customers who will be served before
	Servers int             // working now
	Samples []time.Duration // measured service times, any order
	Prior   Assumed
}

// Range is a forecast: half of such waits are below P50, nine in ten below P90.
type Range struct{ P50, P90 time.Duration }

// Forecast gives the time until service starts, and until it ends. With no server working the basis is Unknown and both are zero.
func Forecast(in Input) (start, ready Range, basis Basis) {
	if in.Servers <= 0 {
		return Range{}, Range{}, Unknown
	}
	mean, sd, p50, p90, basis := service(in)
	c, k := float64(in.Servers), float64(max(0, in.Ahead))
	if in.Ahead > 0 { // everybody ahead has to be begun first
		w50 := k * mean / c
		w90 := w50 + z90*sd*math.Sqrt(k)/c
		start = Range{seconds(w50), seconds(w90)}
	}
	r50 := start.P50.Seconds() + p50
	spread := math.Hypot((start.P90 - start.P50).Seconds(), p90-p50) // independent spreads add in squares
	// Rounding at great sizes must not let the end come before the start.
	ready.P50 = max(start.P50, seconds(r50))
	ready.P90 = max(start.P90, ready.P50, seconds(r50+spread))
	return start, ready, basis
}

// z90 is the 90th percentile of the standard normal distribution.
const z90 = 1.2815515655446004

func service(in Input) (mean, sd, p50, p90 float64, basis Basis) {
	n := len(in.Samples)
	if n < MinSamples {
		p50 = max(0, in.Prior.P50.Seconds())
		p90 = max(p50, in.Prior.P90.Seconds())
		return p50, (p90 - p50) / z90, p50, p90, Prior
	}
	x := make([]float64, n)
	for i, d := range in.Samples {
		x[i] = max(0, d.Seconds()) // a clock set back between two readings gives a negative one
		mean += x[i] / float64(n)
	}
	for _, v := range x {
		sd += (v - mean) * (v - mean) / float64(n-1)
	}
	slices.Sort(x)
	return mean, math.Sqrt(sd), x[(n-1)/2], x[int(math.Ceil(0.9*float64(n)))-1], Measured
}

// seconds makes a duration; one longer than a duration can hold (292 years) is the longest there is.
func seconds(s float64) time.Duration {
	if ns := s * float64(time.Second); ns < math.MaxInt64 {
		return time.Duration(ns)
	}
	return math.MaxInt64
}
