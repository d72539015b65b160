package forecast

import (
	"math"
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

// Range is a forecast: half of such waits are below P50, nine in ten below P90.
type Range struct{ P50, P90 time.Duration }

// seconds makes a duration; one longer than a duration can hold (292 years) is the longest there is.
func seconds(s float64) time.Duration {
	if ns := s * float64(time.Second); ns < math.MaxInt64 {
		return time.Duration(ns)
	}
	return math.MaxInt64
}

// z90 is the 90th percentile of the standard normal distribution.
const z90 = 1.2815515655446004
