package world

import (
	"container/heap"
	"math"
	"slices"
	"time"

	"github.com/kitshub/kitshub/internal/forecast"
)

// epoch is when second 0 of every world is: some Monday at midnight, UTC.
var epoch = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

func moment(s float64) time.Time { return epoch.Add(duration(s)) }

func duration(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Prior is what the model is told to assume before it has measured: a person's work, as in the hub.
var Prior = forecast.Assumed{P50: 30 * time.Minute, P90: 2 * time.Hour}

// Record is what one customer was told and met.
type Record struct {
	Customer
	Class   int
	Ahead   int
	Waited  bool // found every working server busy
	Nobody  bool // no server worked and none was announced
	Told    forecast.Answer
	Started bool
	Wait    float64 // seconds until the start; if it never came, until the world's end
}

// Forecaster is told what a hub would see, when it would see it, and forecasts.
type Forecaster interface {
	Arrived(forecast.Arrival)
	Served(forecast.Service)
	Outcome(forecast.Outcome)
	At(l forecast.Line, class int, plan string) forecast.Answer
}

// run is the line in motion.
type run struct {
	w       *World
	f       Forecaster
	now     float64
	staff   int // next entry of Servers
	count   int
	line    [][]int // customers waiting, by class
	serving []served
	ends    ends
	out     []Record
	check   due // forecasts whose P90 is still to come
}

type served struct {
	who   int
	since float64
}

type end struct {
	at  float64
	who int
}

type ends []end

func (h ends) Len() int { return len(h) }
func (h ends) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].who < h[j].who
}
func (h ends) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *ends) Push(x any)   { *h = append(*h, x.(end)) }
func (h *ends) Pop() any {
	s := *h
	x := s[len(s)-1]
	*h = s[:len(s)-1]
	return x
}

type due = ends

// Run lets the world happen: strict priority without preemption, a leaving server finishes its customer. At the same instant staff
// changes first, then services end, then customers arrive. The forecaster sees announced changes beforehand, others from their time on.
func Run(w *World, f Forecaster) []Record {
	r := &run{w: w, f: f, line: make([][]int, 3), out: make([]Record, len(w.Customers))}
	next := 0
	for {
		t, what := math.Inf(1), 0
		if r.staff < len(w.Servers) && (next < len(w.Customers) || r.waiting() > 0) {
			t, what = w.Servers[r.staff].At, 1
		}
		if len(r.ends) > 0 && r.ends[0].at < t {
			t, what = r.ends[0].at, 2
		}
		if next < len(w.Customers) && w.Customers[next].Arrive < t {
			t, what = w.Customers[next].Arrive, 3
		}
		if what == 0 {
			break
		}
		r.missed(t)
		r.now = t
		switch what {
		case 1:
			r.count = w.Servers[r.staff].Count
			r.staff++
			r.start()
		case 2:
			r.end()
			r.start()
		case 3:
			r.arrive(next)
			next++
		}
	}
	for _, q := range r.line {
		for _, i := range q {
			r.out[i].Wait = r.now - r.out[i].Arrive
		}
	}
	return r.out
}

func (r *run) waiting() (n int) {
	for _, q := range r.line {
		n += len(q)
	}
	return n
}

func (r *run) start() {
	for class := len(r.line) - 1; class >= 0; class-- {
		for len(r.line[class]) > 0 && len(r.serving) < r.count {
			who := r.line[class][0]
			r.line[class] = r.line[class][1:]
			r.begin(who)
		}
	}
}

func (r *run) begin(who int) {
	c := &r.out[who]
	c.Started, c.Wait = true, r.now-c.Arrive
	r.serving = append(r.serving, served{who, r.now})
	heap.Push(&r.ends, end{r.now + c.Service, who})
	if c.Waited && c.Told.Basis != forecast.Unknown && c.Wait <= c.Told.Start.P90.Seconds() {
		r.settle(c, c.Wait, false)
	}
}

func (r *run) settle(c *Record, wait float64, still bool) {
	r.f.Outcome(forecast.Outcome{
		At: moment(c.Arrive), Class: c.Class, Ahead: c.Ahead, P50: c.Told.Start.P50, P90: c.Told.Start.P90,
		Wait: duration(wait), Waiting: still,
	})
}

// missed tells the model of those who have just waited longer than their P90.
func (r *run) missed(until float64) {
	for len(r.check) > 0 && r.check[0].at < until {
		d := heap.Pop(&r.check).(end)
		if c := &r.out[d.who]; !c.Started {
			r.settle(c, c.Told.Start.P90.Seconds()+1, true)
		}
	}
}

func (r *run) end() {
	e := heap.Pop(&r.ends).(end)
	i := slices.IndexFunc(r.serving, func(s served) bool { return s.who == e.who })
	s := r.serving[i]
	r.serving = slices.Delete(r.serving, i, i+1)
	r.f.Served(forecast.Service{Plan: r.out[e.who].Plan, Start: moment(s.since), End: moment(e.at)})
}

func (r *run) arrive(i int) {
	c := &r.out[i]
	c.Customer = r.w.Customers[i]
	c.Class = Class(c.Plan)
	r.f.Arrived(forecast.Arrival{At: moment(r.now), Class: c.Class, Plan: c.Plan})
	l := r.see(c.Class)
	for _, g := range l.Waiting {
		c.Ahead += g.Count
	}
	c.Waited = len(r.serving) >= r.count
	c.Nobody = r.count == 0 && !slices.ContainsFunc(l.Changes, func(s forecast.Change) bool { return s.Servers > 0 })
	c.Told = r.f.At(l, c.Class, c.Plan)
	r.line[c.Class] = append(r.line[c.Class], i)
	if c.Waited && c.Told.Basis != forecast.Unknown {
		heap.Push(&r.check, end{c.Arrive + c.Told.Start.P90.Seconds(), i})
	}
	r.start()
}

// see is the line as a customer of that class finds it.
func (r *run) see(class int) forecast.Line {
	l := forecast.Line{Now: moment(r.now), Servers: r.count}
	for _, s := range r.w.Servers[r.staff:] {
		if s.Announced {
			l.Changes = append(l.Changes, forecast.Change{At: moment(s.At), Servers: s.Count})
		}
	}
	for _, s := range r.serving {
		l.InService = append(l.InService, forecast.Busy{Plan: r.out[s.who].Plan, Since: moment(s.since)})
	}
	for k := len(r.line) - 1; k >= class; k-- {
		count := map[string]int{}
		var plans []string
		for _, i := range r.line[k] {
			p := r.out[i].Plan
			if count[p] == 0 {
				plans = append(plans, p)
			}
			count[p]++
		}
		for _, p := range plans {
			l.Waiting = append(l.Waiting, forecast.Group{Class: k, Plan: p, Count: count[p]})
		}
	}
	return l
}
