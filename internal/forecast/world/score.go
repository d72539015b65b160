package world

import (
	"math"
	"slices"

	"github.com/kitshub/kitshub/internal/forecast"
)

// Score is how the forecasts of one world turned out.
type Score struct {
	Name             string   `json:"name"`
	Kind             string   `json:"kind"`
	Customers        int      `json:"customers"`
	Counted          int      `json:"counted"` // found every working server busy
	P50Coverage      float64  `json:"p50_coverage"`
	P90Coverage      float64  `json:"p90_coverage"`
	ErrorRatio       float64  `json:"error_ratio"` // median absolute error of p50 over the baseline's
	BaselineCoverage float64  `json:"baseline_p90_coverage"`
	LaterCoverage    *float64 `json:"p90_coverage_later,omitempty"` // of those who came two hours and more after a change without a word
	LaterCounted     int      `json:"later_counted,omitempty"`
	Unknown          int      `json:"unknown,omitempty"`
	MedianError      float64  `json:"median_error_s"`
	BaselineError    float64  `json:"baseline_median_error_s"`
}

const (
	perAhead = 1800.0 // the baseline: half an hour for each customer ahead
	later    = 7200.0
)

// Judge counts over those who found every working server busy, by the forecast given on arrival. Unknown is a miss, unless no server
// worked and none was announced: then nothing else was honest, and it is not counted. Who never starts has waited longer than any forecast.
func Judge(w *World, records []Record) Score {
	s := Score{Name: w.Name, Kind: w.Kind, Customers: len(records)}
	changes := w.unannounced()
	var hit50, hit90, base, laterHit int
	var errs, baseErrs []float64
	for i := range records {
		r := &records[i]
		unknown := r.Told.Basis == forecast.Unknown
		if !r.Waited || (unknown && r.Nobody) {
			continue
		}
		s.Counted++
		in90 := !unknown && r.Started && r.Wait <= r.Told.Start.P90.Seconds()
		count(&hit90, in90)
		count(&hit50, !unknown && r.Started && r.Wait <= r.Told.Start.P50.Seconds())
		count(&base, r.Started && r.Wait <= perAhead*float64(r.Ahead))
		baseErrs = append(baseErrs, math.Abs(r.Wait-perAhead*float64(r.Ahead)))
		if unknown {
			s.Unknown++
			errs = append(errs, math.Inf(1))
		} else {
			errs = append(errs, math.Abs(r.Wait-r.Told.Start.P50.Seconds()))
		}
		if settled(changes, r.Arrive) {
			s.LaterCounted++
			count(&laterHit, in90)
		}
	}
	if s.Counted == 0 {
		return s
	}
	n := float64(s.Counted)
	s.P50Coverage, s.P90Coverage, s.BaselineCoverage = float64(hit50)/n, float64(hit90)/n, float64(base)/n
	s.MedianError, s.BaselineError = median(errs), median(baseErrs)
	s.ErrorRatio = min(math.MaxFloat64, s.MedianError/max(1e-9, s.BaselineError))
	s.MedianError = min(math.MaxFloat64, s.MedianError)
	if s.LaterCounted > 0 {
		l := float64(laterHit) / float64(s.LaterCounted)
		s.LaterCoverage = &l
	}
	return s
}

func count(n *int, yes bool) {
	if yes {
		*n++
	}
}

// settled reports whether a time is two hours or more after some change and within two hours of none.
func settled(changes []float64, at float64) bool {
	after := false
	for _, c := range changes {
		if at >= c && at < c+later {
			return false
		}
		after = after || at >= c+later
	}
	return after
}

// unannounced are the times of all changes without a word; the first staffing is where the world begins.
func (w *World) unannounced() []float64 {
	all := slices.Clone(w.ChangesAt)
	for i, s := range w.Servers {
		if i > 0 && !s.Announced && s.Count != w.Servers[i-1].Count {
			all = append(all, s.At)
		}
	}
	slices.Sort(all)
	return all
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
