package forecast

// calibrator corrects the quantiles by the model's own record: after a miss the 90th percentile widens by 0.9 step, after a hit it narrows
// by 0.1 step, so that it rests where one in ten is missed whatever the world does (adaptive conformal inference: Gibbs and Candès 2021;
// quantile tracking: Angelopoulos, Candès and Tibshirani 2023). The unit is the spread ln(p90/p50) of the forecast itself. Half of each step is
// shared by all, so that a change is learned quickly; half belongs to those of the same class and about the same length of line, so that
// the short waits do not pay for the long ones.
type calibrator struct {
	all  track
	part map[part]*track
}

type track struct{ c50, c90 float64 }

type part struct{ class, band int }

// bands are lengths of line and the step of each. The fates of those who wait together are one, so the longer the line, the smaller the step.
var bands = [...]struct {
	below int
	step  float64
}{{4, 0.04}, {16, 0.025}, {64, 0.012}, {1 << 62, 0.004}}

// How far corrections may go: a record cannot be trusted to shrink a forecast as far as to stretch it.
const (
	calLow  = -0.7
	calHigh = 2.5
	calHalf = 0.6 // either way for the p50
	calSlow = 0.4 // the p50 follows more slowly: its misses are as common as its hits, so it would tremble
)

func band(ahead int) int {
	for i, b := range bands {
		if ahead < b.below {
			return i
		}
	}
	return len(bands) - 1
}

func (c *calibrator) learn(o Outcome) {
	if o.P90 <= 0 || o.Wait < 0 {
		return
	}
	if c.part == nil {
		c.part = map[part]*track{}
	}
	b := band(o.Ahead)
	key := part{o.Class, b}
	t := c.part[key]
	if t == nil {
		t = &track{}
		c.part[key] = t
	}
	half := bands[b].step / 2
	miss50, miss90 := -0.5, -0.1
	if o.Wait > o.P50 {
		miss50 = 0.5
	}
	if o.Wait > o.P90 {
		miss90 = 0.9
	}
	c.all.move(half, miss50, miss90)
	t.move(half, miss50, miss90)
}

func (t *track) move(step, miss50, miss90 float64) {
	t.c50 = min(calHalf, max(-calHalf, t.c50+calSlow*step*miss50))
	t.c90 = min(calHigh, max(calLow, t.c90+step*miss90))
}

// factors gives the corrections for a place.
func (c *calibrator) factors(class, ahead int) (c50, c90 float64) {
	c50, c90 = c.all.c50, c.all.c90
	if t := c.part[part{class, band(ahead)}]; t != nil {
		c50, c90 = c50+t.c50, c90+t.c90
	}
	return max(-calHalf, min(calHalf, c50)), max(calLow, min(calHigh, c90))
}
