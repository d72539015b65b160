package world

import "math"

var mixed = []share{{"starter", 5}, {"basic", 3}, {"professional", 3}, {"enterprise", 1}}

// Worlds are those of the check.
var Worlds = []Maker{
	{"steady", Steady, func(b *maker) {
		b.servers(3)
		b.steadily(0.92, 12*minute)
		b.mix = mixed
		b.service = func(_ float64, plan string) float64 { return b.lognormal(12*minute*factor(plan), 0.7) }
	}},
	{"bursts", Steady, func(b *maker) {
		b.servers(4)
		phase := b.gates(3*hour, 0.7*hour)
		b.top = 4 / (10 * minute) * 2.4
		b.rate = func(t float64) float64 { return []float64{b.top / 5, b.top}[phase(t)] }
		b.mix = mixed
		b.service = func(_ float64, plan string) float64 { return b.exponential(10 * minute * factor(plan)) }
	}},
	{"heavy tail", Steady, func(b *maker) {
		b.servers(5)
		b.steadily(0.85, 8*minute)
		b.mix = []share{{"starter", 3}, {"basic", 1}}
		b.service = func(float64, string) float64 { return b.pareto(8*minute, 1.8) }
	}},
	{"staff leaves at 17:00", Planned, func(b *maker) {
		b.top = 5 / (10 * minute)
		b.rate = func(t float64) float64 {
			if h := clock(t); h >= 8 && h < 18 {
				return b.top * 0.85
			}
			return b.top * 0.08
		}
		for d := 0.0; d < 400; d++ {
			b.staff(d*day, 1, true)
			b.staff(d*day+9*hour, 5, true)
			b.staff(d*day+17*hour, 1, true)
		}
		b.mix = mixed
		b.service = func(_ float64, plan string) float64 { return b.lognormal(10*minute*factor(plan), 0.5) }
	}},
	{"priority storm", Steady, func(b *maker) {
		b.servers(3)
		b.steadily(0.62, 9*minute)
		b.mix = []share{{"starter", 4}, {"basic", 3}, {"professional", 2}}
		phase := b.gates(6*hour, 1*hour)
		b.stormed = 4 / (9 * minute)
		b.storm = func(t float64) float64 { return []float64{b.stormed / 60, b.stormed}[phase(t)] }
		b.service = func(_ float64, plan string) float64 { return b.lognormal(9*minute, 0.8) }
	}},
	{"cold start", Steady, func(b *maker) {
		b.servers(2)
		b.steadily(0.9, 4*minute)
		b.mix = mixed
		b.service = func(_ float64, plan string) float64 { return b.exponential(4 * minute) }
	}},
	{"staff leaves without a word", Sudden, func(b *maker) {
		b.servers(6)
		rate := b.steadily(0.8, 10*minute)
		end := b.span(rate)
		b.staff(end*0.4, 5, false)
		b.staff(end*0.6, 4, false)
		b.staff(end*0.6+6*hour, 6, false)
		b.service = func(float64, string) float64 { return b.lognormal(10*minute, 0.6) }
	}},
	{"service slows twofold", Sudden, func(b *maker) {
		b.servers(6)
		rate := b.steadily(0.46, 6*minute)
		slow := b.span(rate) * 0.5
		b.ChangesAt = []float64{slow}
		b.service = func(t float64, _ string) float64 {
			if t >= slow {
				return b.lognormal(12*minute, 0.6)
			}
			return b.lognormal(6*minute, 0.6)
		}
	}},
}

// factor is how much longer a plan takes.
func factor(plan string) float64 {
	return map[string]float64{"enterprise": 1.8, "professional": 1.2}[plan] + map[bool]float64{true: 0.85}[plan == "starter" || plan == "basic"]
}

// wave is a day pattern between 1-depth and 1+depth, highest at 14:00.
func wave(t, depth float64) float64 { return 1 + depth*math.Cos((clock(t)-14)/24*2*math.Pi) }
