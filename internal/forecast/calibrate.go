package forecast

import "math"

// calibrator corrects the quantiles by the model's own record: after a miss the 90th percentile widens by 0.9 step, after a hit it narrows
// by 0.1 step, so that it rests where one in ten is missed whatever the world does (adaptive conformal inference: Gibbs and Candès 2021;
// quantile tracking: Angelopoulos, Candès, Tibshirani 2023). The unit is the spread ln(p90/p50) of the forecast itself.
type calibrator struct {
	all   track
	class map[int]*track
}

type track struct {
	c50, c90 float64
}

const (
	// calStep is how much a miss moves the correction; calPool spreads it over those who waited at the same time, whose fates are one.
	calStep = 0.05
	calPool = 10.0
	// calFade lets a correction be forgotten, slowly: a model that is right needs none.
	calFade  = 0.002
	calLow   = -0.6
	calHigh  = 2.5
	calHalf  = 0.6 // the p50's bounds
	calShare = 0.5 // how much of a step goes to the class alone
)

func (c *calibrator) learn(o Outcome) {
	if o.P90 <= 0 || o.Wait < 0 {
		return
	}
	if c.class == nil {
		c.class = map[int]*track{}
	}
	t := c.class[o.Class]
	if t == nil {
		t = &track{}
		c.class[o.Class] = t
	}
	step := calStep / (1 + float64(max(0, o.Ahead))/calPool)
	miss90, miss50 := -0.1, -0.5
	if o.Wait > o.P90 {
		miss90 = 0.9
	}
	if o.Wait > o.P50 {
		miss50 = 0.5
	}
	c.all.move(step*(1-calShare), miss50, miss90)
	t.move(step*calShare, miss50, miss90)
}

func (t *track) move(step, miss50, miss90 float64) {
	t.c50 = min(calHalf, max(-calHalf, t.c50*(1-step*calFade)+0.4*step*miss50))
	t.c90 = min(calHigh, max(calLow, t.c90*(1-step*calFade)+step*miss90))
}

func (c *calibrator) factors(class int) (c50, c90 float64) {
	c50, c90 = c.all.c50, c.all.c90
	if t := c.class[class]; t != nil {
		c50, c90 = c50+t.c50, c90+t.c90
	}
	return math.Max(-calHalf, math.Min(calHalf, c50)), math.Max(calLow, math.Min(calHigh, c90))
}
