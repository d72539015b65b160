// Package forecast shows how often the forecasts of the line keep their word: in worlds made from seeds, or in one that somebody brings.
//
// A world is a line with strict priority and no preemption (internal/forecast/world lets it happen). The model is told what a hub would
// know at each moment and nothing else. Counted are the customers who found every working server busy, by the forecast given on arrival.
//
// The promise: nine in ten actual waits are within the p90 (0.87 to 0.93 of them where the world is steady or its changes are announced; 0.80
// to 0.97 where it changes without a word, and 0.87 to 0.93 again for those who come two hours and more after it); and half of the p50's errors are at most half of
// the baseline's, which says half an hour for each customer ahead.
//
// The planted bug: customers are told the forecast of somebody who came sixty customers earlier, and the model never hears how its forecasts ended.
package forecast

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"

	model "github.com/kitshub/kitshub/internal/forecast"
	"github.com/kitshub/kitshub/internal/forecast/world"
	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/progress"
)

// Result is the JSON line.
type Result struct {
	check.Report
	Worlds      []world.Score `json:"worlds"`
	MinCoverage float64       `json:"min_p90_coverage"`
	MaxCoverage float64       `json:"max_p90_coverage"`
	MaxRatio    float64       `json:"max_error_ratio"`
	Slack       float64       `json:"slack,omitempty"` // by which the bounds were widened, as there were fewer customers than the promise speaks of
}

// What is promised.
const (
	low, high             = 0.87, 0.93
	suddenLow, suddenHigh = 0.80, 0.97
	maxRatio              = 0.5
	enough                = 5000 // customers of a world; with fewer, chance alone leaves the bounds
)

// Flags are those of this check alone.
type Flags struct {
	Trace    string // a file of JSON Lines to judge by instead of our own worlds
	HoldOuts bool   // judge by the worlds that the model was not tuned on
}

// Register makes them flags of the command line.
func (f *Flags) Register(set *flag.FlagSet) {
	set.StringVar(&f.Trace, "trace", "", "judge by the world in this file of JSON Lines instead of our own (-n is then its number of customers)")
	set.BoolVar(&f.HoldOuts, "holdouts", false, "judge by the worlds that the model was not tuned on")
}

// Run judges worlds of o.N customers each; or the trace, whose customers are then what is to be done.
func Run(ctx context.Context, o check.Options, f Flags) (*Result, error) {
	res := &Result{Worlds: []world.Score{}}
	if f.Trace != "" {
		w, err := read(f.Trace)
		if err == nil && len(w.Customers) == 0 {
			err = errors.New("has no customers")
		}
		if err != nil {
			res.Begin("forecast", o)
			return res, fmt.Errorf("%s: %w", f.Trace, err)
		}
		o.N = len(w.Customers)
		res.Begin("forecast", o)
		res.judge(w, o)
		res.sum()
		return res, nil
	}
	res.Begin("forecast", o)
	makers := world.Worlds
	if f.HoldOuts {
		makers = world.HoldOuts
	}
	bar := progress.New(o.Log, "worlds", len(makers))
	defer bar.Close()
	for _, m := range makers {
		if err := ctx.Err(); err != nil {
			res.Done = 0
			return res, err
		}
		res.judge(m.Make(o.Seed, o.N), o)
		bar.Add(1)
	}
	res.sum()
	return res, nil
}

func read(path string) (*world.World, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	w, err := world.Read(f)
	if w != nil {
		w.Name = path
	}
	return w, errors.Join(err, f.Close())
}

// judge runs one world and holds it against the promise.
func (r *Result) judge(w *world.World, o check.Options) {
	var f world.Forecaster = model.New(world.Prior, uint64(o.Seed)) //nolint:gosec // any seed will do
	if o.Sabotage {
		f = &stale{Forecaster: f}
	}
	s := world.Judge(w, world.Run(w, f))
	r.Worlds = append(r.Worlds, s)
	fmt.Fprintf(o.Log, "%s (%s): of %d who had to wait %.3f within p90, %.3f within p50, error %.3f of the baseline's\n",
		s.Name, s.Kind, s.Counted, s.P90Coverage, s.P50Coverage, s.ErrorRatio)
	if len(r.Worlds) == 1 {
		r.Done = s.Customers
	}
	r.Done = min(r.Done, s.Customers)
	if s.Counted == 0 {
		r.Violate("%s: nobody had to wait, so nothing is shown", s.Name)
		return
	}
	slack := 0.0
	if s.Customers < enough {
		// Fates in one line are bound together: about one in ten counts as independent.
		slack = 3 * math.Sqrt(0.09/(float64(s.Counted)/10))
		r.Slack = max(r.Slack, slack)
	}
	within := func(what string, got, lo, hi float64) {
		if got < lo-slack || got > hi+slack {
			r.Violate("%s: %s of %.3f is not within %.2f and %.2f", s.Name, what, got, lo, hi)
		}
	}
	if s.Kind == world.Sudden {
		within("p90 coverage", s.P90Coverage, suddenLow, suddenHigh)
		if s.LaterCoverage != nil {
			within("p90 coverage two hours after the change", *s.LaterCoverage, low, high)
		} else {
			fmt.Fprintln(o.Log, "no unannounced change of servers and no changes_s: there is no time after a change to judge")
		}
	} else {
		within("p90 coverage", s.P90Coverage, low, high)
	}
	if s.ErrorRatio > maxRatio {
		r.Violate("%s: the median error is %.3f of the baseline's, more than %.1f", s.Name, s.ErrorRatio, maxRatio)
	}
}

func (r *Result) sum() {
	for i, s := range r.Worlds {
		if i == 0 {
			r.MinCoverage = s.P90Coverage
		}
		r.MinCoverage = min(r.MinCoverage, s.P90Coverage)
		r.MaxCoverage = max(r.MaxCoverage, s.P90Coverage)
		r.MaxRatio = max(r.MaxRatio, s.ErrorRatio)
	}
}

// stale is the planted bug.
type stale struct {
	world.Forecaster
	told []model.Answer
}

const lag = 60

func (s *stale) Outcome(model.Outcome) {}

func (s *stale) At(l model.Line, class int, plan string) model.Answer {
	s.told = append(s.told, s.Forecaster.At(l, class, plan))
	if len(s.told) > lag {
		s.told = s.told[1:]
	}
	return s.told[0]
}
