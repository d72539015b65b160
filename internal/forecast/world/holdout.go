package world

import "math"

// HoldOuts are worlds that the model was not tuned on, with other distributions, numbers of servers, mixes and patterns.
var HoldOuts = []Maker{
	{"one server, exponential", Steady, func(b *maker) {
		b.servers(1)
		b.steadily(0.9, 5*minute)
		b.service = func(float64, string) float64 { return b.exponential(5 * minute) }
	}},
	{"twenty servers, lognormal", Steady, func(b *maker) {
		b.servers(20)
		b.steadily(0.96, 25*minute)
		b.mix = mixed
		b.service = func(_ float64, plan string) float64 { return b.lognormal(25*minute*factor(plan), 1) }
	}},
	{"bimodal", Steady, func(b *maker) {
		b.servers(2)
		b.steadily(0.85, 11*minute)
		b.mix = []share{{"basic", 4}, {"professional", 1}}
		b.service = func(float64, string) float64 {
			if b.rnd.Float64() < 0.8 {
				return b.lognormal(3.75*minute, 0.2)
			}
			return b.lognormal(40*minute, 0.2)
		}
	}},
	{"very heavy tail", Steady, func(b *maker) {
		b.servers(8)
		b.steadily(0.8, 6*minute)
		b.mix = mixed
		b.service = func(float64, string) float64 { return b.pareto(6*minute, 1.5) }
	}},
	{"correlated service", Steady, func(b *maker) {
		b.servers(3)
		b.steadily(0.8, 10*minute)
		a := 0.0
		b.service = func(float64, string) float64 {
			a = 0.97*a + 0.12*b.rnd.NormFloat64()
			return b.lognormal(10*minute, 0.4) * math.Exp(a-0.12)
		}
	}},
	{"day waves", Steady, func(b *maker) {
		b.servers(4)
		b.steadily(1, 9*minute)
		r := b.top
		b.top *= 1.3
		b.rate = func(t float64) float64 { return 0.8 * r * wave(t, 0.6) }
		b.mix = mixed
		b.service = func(_ float64, plan string) float64 { return b.exponential(9 * minute) }
	}},
	{"enterprise half the line", Steady, func(b *maker) {
		b.servers(3)
		b.steadily(0.88, 15*minute)
		b.mix = []share{{"starter", 2}, {"professional", 1}, {"enterprise", 3}}
		b.service = func(_ float64, plan string) float64 { return b.lognormal(15*minute, 0.5) }
	}},
	{"constant service", Steady, func(b *maker) {
		b.servers(2)
		b.steadily(0.93, 7*minute)
		b.service = func(float64, string) float64 { return 7 * minute }
	}},
	{"two shifts and a night off", Planned, func(b *maker) {
		b.top = 8 / (12 * minute)
		b.rate = func(t float64) float64 { return b.top * 0.28 * wave(t, 0.7) }
		for d := 0.0; d < 400; d++ {
			b.staff(d*day, 0, true)
			b.staff(d*day+7*hour, 4, true)
			b.staff(d*day+12*hour, 8, true)
			b.staff(d*day+15*hour, 4, true)
			b.staff(d*day+20*hour, 0, true)
		}
		b.mix = mixed
		b.service = func(_ float64, plan string) float64 { return b.lognormal(12*minute*factor(plan), 0.6) }
	}},
	{"fast machine", Steady, func(b *maker) {
		b.servers(4)
		b.steadily(0.9, 1.5)
		b.mix = mixed
		b.service = func(_ float64, plan string) float64 { return b.lognormal(1.5, 0.9) }
	}},
	{"overloaded by day", Steady, func(b *maker) {
		b.servers(10)
		b.steadily(1, 20*minute)
		r := b.top
		b.top *= 1.7
		b.rate = func(t float64) float64 { return r * 0.85 * wave(t, 0.9) }
		b.mix = mixed
		b.service = func(_ float64, plan string) float64 { return b.lognormal(20*minute*factor(plan)/1.1, 0.5) }
	}},
	{"half leave, twice, unsaid", Sudden, func(b *maker) {
		b.servers(8)
		rate := b.steadily(0.45, 14*minute)
		end := b.span(rate)
		b.staff(end*0.3, 4, false)
		b.staff(end*0.5, 8, false)
		b.staff(end*0.7, 4, false)
		b.mix = mixed
		b.service = func(_ float64, plan string) float64 { return b.exponential(14 * minute) }
	}},
	{"service quickens", Sudden, func(b *maker) {
		b.servers(3)
		rate := b.steadily(0.9, 10*minute)
		quick := b.span(rate) * 0.4
		b.ChangesAt = []float64{quick}
		b.service = func(t float64, _ string) float64 {
			if t >= quick {
				return b.exponential(8 * minute)
			}
			return b.exponential(10 * minute)
		}
	}},
	{"twofold, few servers", Sudden, func(b *maker) {
		b.servers(2)
		rate := b.steadily(0.47, 9*minute)
		slow := b.span(rate) * 0.5
		b.ChangesAt = []float64{slow}
		b.service = func(t float64, _ string) float64 {
			if t >= slow {
				return b.exponential(18 * minute)
			}
			return b.exponential(9 * minute)
		}
	}},
	{"more than can be served", Steady, func(b *maker) {
		b.servers(5)
		b.steadily(1.25, 10*minute)
		b.service = func(float64, string) float64 { return b.exponential(10 * minute) }
	}},
	{"slow drift", Steady, func(b *maker) {
		b.servers(4)
		rate := b.steadily(0.7, 8*minute)
		end := b.span(rate)
		b.mix = mixed
		b.service = func(t float64, _ string) float64 {
			return b.lognormal(8*minute*(1+0.45*math.Sin(3*2*math.Pi*t/end)), 0.6)
		}
	}},
	{"enterprise comes by day", Steady, func(b *maker) {
		b.servers(3)
		b.steadily(0.5, 10*minute)
		b.mix = []share{{"starter", 1}, {"basic", 1}}
		b.stormed = 2.4 / (10 * minute)
		b.storm = func(t float64) float64 { return b.stormed * max(0, wave(t, 1)-0.8) * 0.8 }
		b.service = func(float64, string) float64 { return b.lognormal(10*minute, 0.7) }
	}},
	{"sudden, again and again", Sudden, func(b *maker) {
		b.servers(6)
		rate := b.steadily(0.72, 10*minute)
		end := b.span(rate)
		for i := 1.0; i < 8; i++ {
			b.staff(end*i/8, []int{6, 5, 7}[int(i)%3], false)
		}
		b.mix = mixed
		b.service = func(float64, string) float64 { return b.lognormal(10*minute, 0.8) }
	}},
	{"a plan is rare and slow", Steady, func(b *maker) {
		b.servers(3)
		b.steadily(0.78, 10*minute)
		b.mix = []share{{"starter", 98}, {"basic", 2}}
		b.service = func(_ float64, plan string) float64 {
			if plan == "basic" {
				return b.exponential(100 * minute)
			}
			return b.lognormal(9*minute, 0.3)
		}
	}},
}
