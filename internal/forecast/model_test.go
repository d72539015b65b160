package forecast

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

var (
	day0  = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	prior = Assumed{P50: 30 * time.Minute, P90: 2 * time.Hour}
)

// taught makes a model that saw n services of about ten minutes, and arrivals of three classes every four minutes.
func taught(n int) (*Model, time.Time) {
	r := rand.New(rand.NewPCG(1, 2))
	h := History{Since: day0}
	now := day0
	for i := range n {
		now = now.Add(time.Duration(r.ExpFloat64() * 4 * float64(time.Minute)))
		h.Arrivals = append(h.Arrivals, Arrival{At: now, Class: []int{0, 0, 0, 1, 2}[i%5], Plan: "basic"})
		h.Services = append(h.Services, Service{Plan: "basic", Start: now, End: now.Add(time.Duration(r.ExpFloat64() * 10 * float64(time.Minute)))})
	}
	return Learn(h, prior, 7), now
}

func people(class, n int) []Group { return []Group{{Class: class, Plan: "basic", Count: n}} }

// sane is what holds of every answer.
func sane(t *testing.T, what string, a Answer) {
	t.Helper()
	if a.Basis == Unknown {
		if a.Why == "" || a.Start != (Range{}) || a.Ready != (Range{}) {
			t.Errorf("%s: unknown has to say why and nothing else: %+v", what, a)
		}
		return
	}
	if a.Start.P50 < 0 || a.Start.P50 > a.Start.P90 || a.Ready.P50 > a.Ready.P90 || a.Ready.P50 < a.Start.P50 || a.Ready.P90 < a.Start.P90 ||
		a.Ready.P90 > 100*365*24*time.Hour {
		t.Errorf("%s: out of order or bounds: %+v", what, a)
	}
}

func TestUnknown(t *testing.T) {
	m, now := taught(100)
	for _, tt := range []struct {
		name string
		line Line
		want Basis
	}{
		{"nobody works", Line{Now: now, Waiting: people(0, 5)}, Unknown},
		{"fewer than nobody", Line{Now: now, Servers: -3}, Unknown},
		{"nobody works, the last one finishes", Line{Now: now, InService: []Busy{{"basic", now}}, Waiting: people(0, 5)}, Unknown},
		{"nobody works, somebody is announced", Line{Now: now, Changes: []Change{{now.Add(time.Hour), 1}}}, Measured},
		{"all leave at once and for good", Line{Now: now, Servers: 1, Changes: []Change{{now.Add(time.Second), 0}}, Waiting: people(0, 50)}, Unknown},
		{"nobody is announced", Line{Now: now, Changes: []Change{{now.Add(time.Hour), 0}}}, Unknown},
		{"an announced change in the past is in force", Line{Now: now, Changes: []Change{{now.Add(-time.Hour), 2}}}, Measured},
		{"somebody works", Line{Now: now, Servers: 1}, Measured},
	} {
		got := m.At(tt.line, 0, "basic")
		sane(t, tt.name, got)
		if got.Basis != tt.want {
			t.Errorf("%s: basis %s, want %s", tt.name, got.Basis, tt.want)
		}
	}
}

func TestAnnouncedReturnIsWaitedFor(t *testing.T) {
	m, now := taught(100)
	a := m.At(Line{Now: now, Changes: []Change{{now.Add(14 * time.Hour), 2}}}, 2, "basic")
	if a.Start.P50 != 14*time.Hour {
		t.Errorf("the first in line starts when the shift does, not after %v", a.Start.P50)
	}
}

func TestPriorUntilEnough(t *testing.T) {
	for n, want := range map[int]Basis{0: Prior, MinSamples - 1: Prior, MinSamples: Measured} {
		m, now := taught(n)
		a := m.At(Line{Now: now, Servers: 1, InService: []Busy{{"basic", now}}}, 0, "basic")
		sane(t, fmt.Sprint(n), a)
		if a.Basis != want {
			t.Errorf("%d samples: %s, want %s", n, a.Basis, want)
		}
		if n == 0 && (a.Start.P50 < 20*time.Minute || a.Start.P50 > 40*time.Minute || a.Start.P90 < 80*time.Minute || a.Start.P90 > 3*time.Hour) {
			t.Errorf("one fresh service ahead under the prior of 30 minutes and 2 hours: %+v", a.Start)
		}
	}
}

// TestSteadyMean holds the model against theory: k exponential services in one server have mean k·m and an Erlang spread.
func TestSteadyMean(t *testing.T) {
	m, now := taught(2000)
	for _, k := range []int{20, 60, 200, 5000} {
		l := Line{Now: now, Servers: 1, InService: []Busy{{"basic", now}}, Waiting: people(2, k-1)}
		got := m.At(l, 2, "basic").Start.P50.Minutes()
		if math.Abs(got/(10*float64(k))-1) > 0.12 {
			t.Errorf("%d services of about ten minutes: median %.0f minutes", k, got)
		}
	}
}

func TestMonotone(t *testing.T) {
	m, now := taught(300)
	busy := []Busy{{"basic", now.Add(-time.Minute)}, {"basic", now.Add(-time.Hour)}, {"basic", now.Add(time.Hour)}}
	l := Line{Now: now, Servers: 3, InService: busy}
	var last Answer
	for _, n := range []int{0, 1, 2, 5, 20, 60, 64, 65, 100, 1000, 10_000, 1_000_000} {
		l.Waiting = people(0, n)
		a := m.At(l, 0, "basic")
		sane(t, fmt.Sprint(n), a)
		if a.Start.P50 < last.Start.P50 || a.Start.P90 < last.Start.P90 {
			t.Errorf("%d ahead wait less than fewer do: %+v after %+v", n, a.Start, last.Start)
		}
		last = a
	}
	l.Waiting = people(0, 200)
	if few, many := m.At(l.With(2), 0, "basic"), m.At(l.With(6), 0, "basic"); many.Start.P50 >= few.Start.P50 {
		t.Errorf("six servers take %v, two %v", many.Start.P50, few.Start.P50)
	}
	if low, high := m.At(l, 0, "basic"), m.At(l, 2, "basic"); low.Start.P50 <= high.Start.P50 {
		t.Errorf("who is overtaken waits %v, who is not %v", low.Start.P50, high.Start.P50)
	}
}

func TestCurve(t *testing.T) {
	m, now := taught(300)
	l := Line{Now: now, Servers: 4, Waiting: []Group{{2, "enterprise", 30}, {1, "professional", 500}, {0, "basic", 600_000}, {0, "starter", 400_000}}}
	c := m.Curve(l)
	for _, tt := range []struct {
		class    int
		plan     string
		from, to int
	}{{2, "enterprise", 0, 30}, {1, "professional", 30, 530}, {0, "basic", 530, 1_000_530}} {
		var last Answer
		for _, x := range []float64{0, 0.001, 0.01, 0.1, 0.3, 0.9, 1} {
			at := tt.from + int(x*float64(tt.to-tt.from))
			a := c.At(at, tt.class, tt.plan)
			sane(t, fmt.Sprint(tt.class, at), a)
			if a.Start.P50 < last.Start.P50 || a.Start.P90 < last.Start.P90 {
				t.Errorf("class %d place %d: %+v after %+v", tt.class, at, a.Start, last.Start)
			}
			last = a
		}
	}
	l.Waiting = l.Waiting[:2]
	if at, curve := m.At(l, 1, "professional"), c.At(530, 1, "professional"); math.Abs(math.Log(at.Start.P50.Hours()/curve.Start.P50.Hours())) > 0.1 {
		t.Errorf("the end of the class by itself %+v, on the curve %+v", at.Start, curve.Start)
	}
	if a := m.Curve(Line{Now: now, Waiting: people(0, 9)}).At(3, 0, "basic"); a.Basis != Unknown || a.Why == "" {
		t.Errorf("a curve with nobody at work: %+v", a)
	}
	for _, place := range []int{-5, 0, 1 << 40} {
		sane(t, "beyond the ends", c.At(place, 0, "no such plan"))
		sane(t, "a class that nobody has", c.At(place, 9, ""))
	}
}

func TestDeterministic(t *testing.T) {
	a, now := taught(200)
	b, _ := taught(200)
	l := Line{Now: now, Servers: 2, Waiting: people(0, 99)}
	if x, y := a.At(l, 0, "basic"), b.At(l, 0, "basic"); x != y {
		t.Errorf("equal models say %+v and %+v", x, y)
	}
	if x, y := a.At(l, 0, "basic"), a.At(l, 0, "basic"); x != y {
		t.Errorf("asked twice: %+v and %+v", x, y)
	}
}

// TestOddHistory teaches what a clock that jumps, a restored database or a broken row may bring.
func TestOddHistory(t *testing.T) {
	m, now := taught(50)
	m.Served(Service{Plan: "basic", Start: now, End: now.Add(-time.Hour)})
	m.Served(Service{Plan: "basic", Start: now, End: now})
	m.Served(Service{Plan: "new", Start: now.AddDate(-200, 0, 0), End: now})
	m.Arrived(Arrival{At: now.AddDate(-1, 0, 0), Class: 2})
	m.Arrived(Arrival{At: now.AddDate(1, 0, 0), Class: -9})
	for _, o := range []Outcome{{}, {Wait: -time.Hour, P90: 1}, {Ahead: -4, P50: 2, P90: 1, Wait: time.Hour}} {
		m.Outcome(o)
	}
	for _, l := range []Line{
		{Servers: 1},
		{Now: now, Servers: 3, Waiting: []Group{{1, "x", -5}, {1, "y", 0}, {0, "z", 3}}},
		{Now: now.AddDate(-2, 0, 0), Servers: 2, InService: []Busy{{"basic", now}, {"", time.Time{}}}, Waiting: people(0, 10)},
		{Now: now, Servers: 1, InService: make([]Busy, 50), Waiting: people(0, 1<<40)},
		{Now: now, Servers: 1 << 40, Waiting: people(0, 1)},
	} {
		for class := -1; class < 4; class++ {
			sane(t, fmt.Sprintf("%+v", l), m.At(l, class, "unheard of"))
			sane(t, fmt.Sprintf("%+v", l), m.Curve(l).At(3, class, "z"))
		}
	}
	same := New(prior, 1)
	for range 100 {
		same.Served(Service{Start: now, End: now})
	}
	sane(t, "all take no time", same.At(Line{Now: now, Servers: 1, InService: []Busy{{"", now}}, Waiting: people(0, 100)}, 0, ""))
}

// TestFollowsAChange: after the service slows twofold, the forecast follows within thirty services.
func TestFollowsAChange(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	m, now := New(prior, 1), day0
	serve := func(n int, mean float64) {
		for range n {
			d := time.Duration(mean * math.Exp(0.5*r.NormFloat64()-0.125) * float64(time.Minute))
			m.Served(Service{Start: now, End: now.Add(d)})
			now = now.Add(d)
		}
	}
	median := func() float64 {
		return m.At(Line{Now: now, Servers: 1, Waiting: people(0, 40)}, 0, "").Start.P50.Minutes()
	}
	serve(1000, 10)
	if x := median(); x < 360 || x > 440 {
		t.Errorf("forty of ten minutes: %.0f", x)
	}
	serve(30, 20)
	if x := median(); x < 600 {
		t.Errorf("thirty services after they slowed from 10 to 20 minutes, forty ahead: %.0f minutes", x)
	}
}

func TestCorrectionsComeToRest(t *testing.T) {
	m, now := taught(500)
	r := rand.New(rand.NewPCG(5, 6))
	l := Line{Now: now, Servers: 1, Waiting: people(2, 2)}
	miss, n := 0, 3000
	for range n { // a world three times slower than the model believes
		a := m.At(l, 2, "basic").Start
		wait := time.Duration(3 * 20 * float64(time.Minute) * r.ExpFloat64())
		if wait > a.P90 {
			miss++
		}
		m.Outcome(Outcome{At: now, Class: 2, Ahead: 2, P50: a.P50, P90: a.P90, Wait: wait})
	}
	if share := float64(miss) / float64(n); share < 0.08 || share > 0.13 {
		t.Errorf("%.3f missed in the end instead of one in ten", share)
	}
}

func BenchmarkAt(b *testing.B) {
	for _, n := range []int{0, 100, 10_000, 1_000_000} {
		m, now := taught(2000)
		l := Line{Now: now, Servers: 5, InService: make([]Busy, 5), Waiting: people(0, n)}
		for i := range l.InService {
			l.InService[i] = Busy{"basic", now.Add(-time.Minute)}
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				m.At(l, 0, "basic")
			}
		})
	}
}

func BenchmarkCurve(b *testing.B) {
	m, now := taught(2000)
	l := Line{Now: now, Servers: 5, Waiting: []Group{{2, "enterprise", 1000}, {1, "professional", 100_000}, {0, "basic", 900_000}}}
	b.Run("compute", func(b *testing.B) {
		for b.Loop() {
			m.Curve(l)
		}
	})
	c := m.Curve(l)
	b.Run("look up", func(b *testing.B) {
		for b.Loop() {
			c.At(777_777, 0, "basic")
		}
	})
}
