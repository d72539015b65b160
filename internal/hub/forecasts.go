package hub

import (
	"context"
	"fmt"
	"time"

	"github.com/kitshub/kitshub/internal/forecast"
)

// ForecastRecord is how often the first forecasts were kept, over a time.
type ForecastRecord struct {
	Days  int
	Plans []ForecastKept
	AsOf  time.Time
}

// ForecastRecords gives the record of the last 7 and 30 days. It is public: a forecast that hides its record is a guess.
func (s *Service) ForecastRecords(ctx context.Context) ([]ForecastRecord, error) {
	return view(ctx, s, func(tx Tx) ([]ForecastRecord, error) {
		var out []ForecastRecord
		for _, days := range []int{7, 30} {
			plans, err := tx.ForecastRecord(ctx, tx.Now().AddDate(0, 0, -days))
			if err != nil {
				return nil, err
			}
			out = append(out, ForecastRecord{Days: days, Plans: plans, AsOf: tx.Now()})
		}
		return out, nil
	})
}

// Staffing is a question: what if so many worked? Below zero leaves it as it is.
type Staffing struct {
	Operators int
	Pool      int // backends that the hub makes side by side
}

// maxStaff bounds the question: more servers than that are no question but a load test.
const maxStaff = 10_000

// WhatIf is the answer for one way.
type WhatIf struct {
	Way     Way
	Servers int // asked about
	Now     int // working now
	Waiting int
	Next    forecast.Answer // for somebody who joins behind all who wait
	AsIs    forecast.Answer // the same under today's staffing
}

// WhatIf answers how the line would move under another staffing, from now on and without announced changes, by the model that forecasts.
func (s *Service) WhatIf(ctx context.Context, st Staffing) ([]WhatIf, error) {
	var wrong []*Error
	for _, q := range []struct {
		field string
		n     int
	}{{"operators", st.Operators}, {"pool", st.Pool}} {
		if q.n > maxStaff {
			wrong = append(wrong, FieldError(CodeInvalidField, q.field, fmt.Sprintf("%s is more than %d.", q.field, maxStaff), "Ask about a number you could have."))
		}
	}
	if err := asList(wrong); err != nil {
		return nil, err
	}
	o, err := s.outlook(ctx, ByOperator, 0)
	if err != nil {
		return nil, err
	}
	var out []WhatIf
	for _, w := range ways {
		l := o.lines[w]
		n := st.Pool
		if w == ByOperator {
			n = st.Operators
		}
		asked := l
		if n >= 0 {
			asked = l.With(n)
		}
		out = append(out, WhatIf{
			Way: w, Servers: asked.Servers, Now: l.Servers, Waiting: o.waiting[w],
			Next: s.forecaster.models[w].At(asked, 0, ""), AsIs: s.forecaster.models[w].At(l, 0, ""),
		})
	}
	return out, nil
}

// RaiseAged lifts every request by one class that has waited for so long since it joined or was last lifted, so that nobody starves. Called
// by a regular duty where QUEUE_AGING is set.
func (s *Service) RaiseAged(ctx context.Context) error {
	if s.aging <= 0 {
		return nil
	}
	for {
		n, err := mutate(ctx, s, func(u *unit) (int, error) {
			aged, err := u.PendingSince(ctx, u.Now().Add(-s.aging), reapAtOnce)
			if err != nil {
				return 0, err
			}
			for _, r := range aged {
				now := u.Now()
				r.Priority++
				r.RaisedAt, r.UpdatedAt = &now, now
				if err := u.UpdateRequest(ctx, r); err != nil {
					return 0, err
				}
				if r.Way == Automatic { // a job at the new place; the one at the old place will find the request taken
					if err := s.jobs.EnqueueProvision(ctx, u, r.Key()); err != nil {
						return 0, err
					}
				}
				if err := u.audit(ctx, HubActor(), "request.raise", r.ID, map[string]any{"to": r.Priority}); err != nil {
					return 0, err
				}
				u.touch(r.ID)
			}
			if len(aged) > 0 {
				u.touch(TopicLine)
			}
			return len(aged), nil
		})
		if err != nil || n < reapAtOnce {
			return err
		}
	}
}
