package hub

import (
	"context"
	"sync"
	"time"

	"github.com/kitshub/kitshub/internal/forecast"
)

// Estimate is a forecast as customers see it: seconds from now, or nothing where nothing honest can be said.
type Estimate struct {
	P50, P90 time.Duration
	Basis    forecast.Basis
}

// What a backend is assumed to take until enough were measured: the hub itself a few seconds, a person the better part of an hour.
var priors = map[Way]forecast.Assumed{
	Automatic:  {P50: time.Second, P90: 5 * time.Second},
	ByOperator: {P50: 30 * time.Minute, P90: 2 * time.Hour},
}

const (
	paceLife    = 2 * time.Second // how long measured service times are used before they are read again
	paceSamples = 200             // the most recent ones: enough for a stable 90th percentile, few enough to follow a change
	workingIf   = 15 * time.Minute
)

// pace is how fast the line moves, per way.
type pace struct {
	samples map[Way][]time.Duration
	servers map[Way]int
}

type paceCache struct {
	mu   sync.Mutex
	at   time.Time
	pace pace
}

// currentPace reads the measured service times and who is working, at most once in paceLife.
func (s *Service) currentPace(ctx context.Context) (pace, error) {
	s.pace.mu.Lock()
	defer s.pace.mu.Unlock()
	if time.Since(s.pace.at) < paceLife {
		return s.pace.pace, nil
	}
	p, err := view(ctx, s, func(tx Tx) (pace, error) {
		p := pace{samples: map[Way][]time.Duration{}, servers: map[Way]int{}}
		for _, w := range []Way{Automatic, ByOperator} {
			var err error
			if p.samples[w], err = tx.ServiceTimes(ctx, w, paceSamples); err != nil {
				return p, err
			}
		}
		live, err := tx.LiveInstances(ctx, tx.Now().Add(-deadAfter))
		if err != nil {
			return p, err
		}
		for _, i := range live {
			p.servers[Automatic] += i.Workers
		}
		p.servers[ByOperator], err = tx.OperatorsWorking(ctx, tx.Now().Add(-workingIf))
		return p, err
	})
	if err != nil {
		return pace{}, err
	}
	s.pace.pace, s.pace.at = p, time.Now()
	return p, nil
}

// estimate gives the time to start and to ready of a request with so many of its way ahead; zero for the start of what has started.
func (p pace) estimate(r *Request, ahead int, now time.Time) (start, ready Estimate) {
	switch {
	case r.State.Final():
		zero := Estimate{Basis: forecast.Measured}
		return zero, zero
	case r.State == Failed:
		return Estimate{Basis: forecast.Unknown}, Estimate{Basis: forecast.Unknown}
	}
	w, e, basis := forecast.Forecast(forecast.Input{Ahead: ahead, Servers: p.servers[r.Way], Samples: p.samples[r.Way], Prior: priors[r.Way]})
	if r.State == Pending {
		return Estimate{w.P50, w.P90, basis}, Estimate{e.P50, e.P90, basis}
	}
	var spent time.Duration
	if r.ClaimedAt != nil {
		spent = now.Sub(*r.ClaimedAt)
	}
	_, e, basis = forecast.Forecast(forecast.Input{Servers: 1, Samples: p.samples[r.Way], Prior: priors[r.Way]})
	return Estimate{Basis: basis}, Estimate{max(0, e.P50-spent), max(0, e.P90-spent), basis}
}
