package forecast

import (
	"math"
	"slices"
)

// fit is what the service times of the window say.
type fit struct {
	n      int
	plans  []planFit
	pool   shape // of all plans, each divided by its plan's mean
	level  level
	adrift int // samples since the last change of level; n if there was none
}

// planFit is the distribution of one plan: its shape and by how much its mean may be wrong.
type planFit struct {
	shape *shape
	scale float64 // multiplies the shape
	mean  float64 // seconds
	sd    float64
	doubt float64 // standard deviation of the logarithm of the mean
}

// shape is an empirical distribution with a fitted tail.
type shape struct {
	sorted []float64
	tail   tail
}

// enoughAlone is how many samples a plan needs to be described without the others.
const enoughAlone = 30

func newFit(window []sample, plans int, prior Assumed) *fit {
	if len(window) < MinSamples {
		return priorFit(window, plans, prior)
	}
	f := &fit{n: len(window), plans: make([]planFit, plans)}
	z, center, spread := logs(window, plans)
	shift, since := align(z)
	f.adrift = since
	for i := range z {
		z[i] += shift[i]
	}
	f.level = newLevel(z)
	// What the level explains must not count twice: the shape keeps the rest.
	keep := math.Sqrt(1 - f.level.share)
	values := make([][]float64, plans)
	full := make([][]float64, plans)
	var all []float64
	for i, s := range window {
		d := s.d * math.Exp(shift[i])
		full[s.plan] = append(full[s.plan], d)
		if f.level.share > 0 {
			d = math.Exp(center[s.plan] + (math.Log(d)-center[s.plan])*keep)
		}
		values[s.plan] = append(values[s.plan], d)
	}
	overall, _ := meanSD(slices.Concat(full...))
	for p := range values {
		m, _ := meanSD(values[p])
		for _, v := range values[p] {
			all = append(all, v/max(m, 1e-9))
		}
	}
	f.pool = newShape(all)
	_, poolSD := meanSD(all)
	inflate := f.level.inflation()
	for p := range f.plans {
		f.plans[p] = f.plan(values[p], full[p], overall, poolSD, inflate, spread)
	}
	return f
}

// plan describes one plan; with few samples of its own it leans on all.
func (f *fit) plan(values, full []float64, overall, poolSD, inflate, spread float64) planFit {
	const lean = 4.0
	n := float64(len(full))
	mean, sd := meanSD(full)
	var p planFit
	if len(full) >= enoughAlone {
		s := newShape(values)
		p = planFit{shape: &s, scale: 1, mean: mean, sd: sd}
	} else {
		m := (mean*n + overall*lean) / (n + lean)
		p = planFit{shape: &f.pool, scale: m, mean: m, sd: m * poolSD}
	}
	cv := min(2, p.sd/max(p.mean, 1e-9))
	doubt := cv * cv * inflate / max(1, n)
	if len(full) < enoughAlone {
		own := lean / (n + lean)
		doubt = cv*cv*inflate/(n+lean) + own*own*0.25
	}
	if f.adrift < f.n { // after a change only what came since tells the level
		doubt = max(doubt, spread*spread/float64(f.adrift))
	}
	p.doubt = min(1, math.Sqrt(doubt))
	return p
}

// priorFit updates the stated prior by the few samples there are. Half of its variance is doubt about the level, which samples remove.
func priorFit(window []sample, plans int, prior Assumed) *fit {
	p50 := max(prior.P50.Seconds(), 1e-6)
	sigma := max(0.1, math.Log(max(p50, prior.P90.Seconds())/p50)/z90)
	mu, within := math.Log(p50), sigma*sigma/2
	precision := 2 / (sigma * sigma)
	sum := mu * precision
	for _, s := range window {
		sum += math.Log(s.d) / within
		precision += 1 / within
	}
	mu = sum / precision
	const points = 63
	values := make([]float64, points)
	for i := range values {
		values[i] = math.Exp(mu + math.Sqrt(within)*normalQuantile((float64(i)+0.5)/points))
	}
	f := &fit{n: len(window), adrift: len(window), plans: make([]planFit, plans)}
	f.pool = newShape(values)
	mean, sd := meanSD(values)
	for p := range f.plans {
		f.plans[p] = planFit{shape: &f.pool, scale: 1, mean: mean, sd: sd, doubt: math.Sqrt(1 / precision)}
	}
	return f
}

// logs gives the logarithm of each time around its plan's own mean, outliers drawn in, and the spread of all.
func logs(window []sample, plans int) (z, center []float64, spread float64) {
	z, center = make([]float64, len(window)), make([]float64, plans)
	count := make([]float64, plans)
	total := 0.0
	for i, s := range window {
		z[i] = math.Log(s.d)
		center[s.plan] += z[i]
		count[s.plan]++
		total += z[i]
	}
	total /= float64(len(window))
	for p := range center {
		center[p] = (center[p] + 2*total) / (count[p] + 2)
	}
	for i, s := range window {
		z[i] -= center[s.plan]
	}
	_, sd := meanSD(z)
	for i := range z {
		z[i] = min(3.5*sd, max(-3.5*sd, z[i]))
	}
	_, spread = meanSD(z)
	return z, center, spread
}

// align finds sudden changes of level and gives what to add to the logarithms before each, so that all are at the level of now;
// and how many came since the last change.
func align(z []float64) (shift []float64, since int) {
	const (
		splits    = 4
		least     = 8
		threshold = 4.2
	)
	n := len(z)
	shift, since = make([]float64, n), n
	x := slices.Clone(z)
	prefix := make([]float64, n+1)
	for range splits {
		for i, v := range x {
			prefix[i+1] = prefix[i] + v
		}
		_, sd := meanSD(x)
		at, best := 0, threshold*sd
		for i := least; i <= n-least; i++ {
			a, b := float64(i), float64(n-i)
			diff := (prefix[n]-prefix[i])/b - prefix[i]/a
			if t := math.Abs(diff) * math.Sqrt(a*b/(a+b)); t > best {
				at, best = i, t
			}
		}
		if at == 0 {
			break
		}
		diff := (prefix[n]-prefix[at])/float64(n-at) - prefix[at]/float64(at)
		for i := range at {
			x[i] += diff
			shift[i] += diff
		}
		since = min(since, n-at)
	}
	return shift, since
}

// level is a slow common factor of all service times (a hard day, a tired crew): ln factor a(j+1) = φ·a(j) + noise, share of the
// variance of the logarithms that it explains, its value now by the Kalman filter (Kalman 1960) with that variance.
type level struct {
	phi, share float64
	now, doubt float64
	noise      float64 // standard deviation of one step
}

func newLevel(z []float64) level {
	const lags = 10
	n := len(z)
	mean, sd := meanSD(z)
	if n < 60 || sd <= 0 {
		return level{}
	}
	var near, far float64
	for k := 1; k <= lags; k++ {
		c := 0.0
		for i := k; i < n; i++ {
			c += (z[i] - mean) * (z[i-k] - mean)
		}
		if c /= float64(n) * sd * sd; k <= lags/2 {
			near += c
		} else {
			far += c
		}
	}
	if near+far < 3.5*math.Sqrt(lags/float64(n)) {
		return level{}
	}
	phi := 0.3
	if far > 0 && near > 0 {
		phi = min(0.995, max(0.3, math.Pow(far/near, 2.0/lags)))
	}
	sum, p := 0.0, 1.0
	for range lags {
		p *= phi
		sum += p
	}
	l := level{phi: phi, share: min(0.9, (near+far)/sum)}
	va := l.share * sd * sd
	q, r := va*(1-phi*phi), sd*sd-va
	l.noise = math.Sqrt(q)
	l.doubt = va
	for _, v := range z {
		l.now *= phi
		l.doubt = l.doubt*phi*phi + q
		gain := l.doubt / (l.doubt + r)
		l.now += gain * (v - mean - l.now)
		l.doubt *= 1 - gain
	}
	return l
}

// inflation is by how much the variance of a mean of many exceeds that of independent ones.
func (l level) inflation() float64 {
	if l.share == 0 {
		return 1
	}
	return 1 - l.share + l.share*(1+l.phi)/(1-l.phi)
}

func meanSD(x []float64) (mean, sd float64) {
	if len(x) == 0 {
		return 0, 0
	}
	for _, v := range x {
		mean += v
	}
	mean /= float64(len(x))
	for _, v := range x {
		sd += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(sd / float64(max(1, len(x)-1)))
}
