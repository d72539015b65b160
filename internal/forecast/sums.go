package forecast

import "math"

// sums goes on from a place by whole stretches: n services are a sum that the central limit theorem gives, its work is divided among the
// servers that the schedule has, and who overtakes meanwhile adds to it. In a busy line the work left in service is about the same at
// both ends of a stretch, so it cancels out.
func (w *world) sums(at, place int) {
	extra := len(w.pending)
	w.believed = believed * (w.points[len(w.points)-1] + exactlyMost)
	for at < len(w.points) {
		n := 0
		if w.points[at] > place {
			n = min(w.points[at]-place, max(64, place))
		}
		if !w.advance(w.work(place, n) + w.overtakers(extra)) {
			w.never(at)
			return
		}
		place += n
		extra = w.came() // they go first: before the next stretch, and before the one whose turn it would be
		if w.points[at] > place {
			continue
		}
		for range 30 { // who came meanwhile, and who came while those were served
			if extra == 0 {
				break
			}
			if !w.advance(w.overtakers(extra)) {
				w.never(at)
				return
			}
			extra = w.came()
		}
		extra = 0
		for at < len(w.points) && w.points[at] <= place {
			w.note(at)
			at++
		}
	}
}

// believed is how many may overtake for each customer ahead: more would mean that higher classes alone keep the servers busy for ever, which a
// short record may suggest and no business lives with.
const believed = 20

// came takes those who overtook until now.
func (w *world) came() int {
	if w.t >= longest || w.believed <= 0 {
		return 0
	}
	n := min(w.replay.skip(w.t), w.believed)
	w.believed -= n
	return n
}

// work draws the sum of the service times of n customers from a place on, in seconds of one server.
func (w *world) work(place, n int) float64 {
	if n == 0 {
		return 0
	}
	var mean, variance float64
	to := place + n
	for _, x := range w.mix {
		from, end := max(place, x.from), min(to, x.from+x.n)
		if from >= end {
			continue
		}
		for j, p := range x.plans {
			k := float64(end-from) * float64(x.counts[j]) / float64(x.n)
			m, v := w.moments(p)
			mean += k * m
			variance += k * v
		}
	}
	return w.sum(mean, variance, float64(n))
}

// overtakers draws the work of n who overtook, in the mix of the record.
func (w *world) overtakers(n int) float64 {
	if n == 0 {
		return 0
	}
	var mean, variance float64
	for p, share := range w.flow.mix {
		if share > 0 {
			m, v := w.moments(p)
			mean += share * m
			variance += share * v
		}
	}
	return w.sum(mean*float64(n), variance*float64(n), float64(n))
}

// moments gives a plan's mean and variance in this scenario.
func (w *world) moments(p int) (mean, variance float64) {
	f := &w.fit.plans[p]
	doubt := w.factor[p] / f.scale
	return f.mean * doubt, f.sd * f.sd * doubt * doubt
}

func (w *world) sum(mean, variance, n float64) float64 {
	if l := &w.fit.level; l.share > 0 {
		phi := math.Pow(l.phi, n)
		mean *= math.Exp(w.a * (1 - phi) / (n * (1 - l.phi)))
		// The level at the end is as uncertain as it gets in so many steps.
		w.a = w.a*phi + l.noise*math.Sqrt((1-phi*phi)/(1-l.phi*l.phi))*w.r.normal()
		variance *= l.inflation()
	}
	// Sums of positive times are skewed to the right: a lognormal with their two moments stays positive and close.
	if mean <= 0 {
		return 0
	}
	s2 := math.Log1p(variance / (mean * mean))
	return mean * math.Exp(math.Sqrt(s2)*w.r.normal()-s2/2)
}

// advance lets the servers do so much work; false if they never will.
func (w *world) advance(work float64) bool {
	for work > 0 && w.t < longest {
		c, until := w.count()
		if c == 0 {
			if math.IsInf(until, 1) {
				return false
			}
			w.t = until
			continue
		}
		if done := w.t + work/float64(c); done <= until {
			w.t = done
			return true
		}
		work -= (until - w.t) * float64(c)
		w.t = until
	}
	return true
}
