package forecast

import "math"

// rng is splitmix64 (Steele, Lea, Flood 2014): eight bytes of state, so that each scenario has a stream of its own and two forecasts of the
// same line meet the same luck (common random numbers).
type rng struct {
	s     uint64
	spare float64
	has   bool
}

func newRNG(seed, stream uint64) rng {
	r := rng{s: seed ^ (stream+1)*0x9e3779b97f4a7c15}
	r.next()
	return r
}

func (r *rng) next() uint64 {
	r.s += 0x9e3779b97f4a7c15
	z := r.s
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// uniform is in (0, 1): never 0, whose logarithm would be infinite.
func (r *rng) uniform() float64 { return (float64(r.next()>>11) + 0.5) / (1 << 53) }

// normal is standard normal (Box and Muller 1958).
func (r *rng) normal() float64 {
	if r.has {
		r.has = false
		return r.spare
	}
	m := math.Sqrt(-2 * math.Log(r.uniform()))
	sin, cos := math.Sincos(2 * math.Pi * r.uniform())
	r.spare, r.has = m*sin, true
	return m * cos
}
