package store

import (
	"context"
	"slices"
	"time"

	"github.com/kitshub/kitshub/internal/forecast"
	"github.com/kitshub/kitshub/internal/hub"
)

// RecentServices implements hub.ForecastStore.
func (t *Tx) RecentServices(ctx context.Context, w hub.Way, after time.Time, n int) ([]forecast.Service, error) {
	rows, err := t.tx.QueryContext(ctx, `
		SELECT plan, claimed_at, finished_at FROM requests
		WHERE state = 'completed' AND way = $1 AND claimed_at IS NOT NULL AND finished_at > $2 ORDER BY finished_at DESC LIMIT $3`,
		string(w), stamp(after), n)
	if err != nil {
		return nil, err
	}
	return oldestFirst(collect(rows, func(row interface{ Scan(...any) error }) (s forecast.Service, err error) {
		err = row.Scan(&s.Plan, scanTime{&s.Start}, scanTime{&s.End})
		return s, err
	}))
}

// RecentArrivals implements hub.ForecastStore.
func (t *Tx) RecentArrivals(ctx context.Context, w hub.Way, after time.Time, n int) ([]forecast.Arrival, error) {
	rows, err := t.tx.QueryContext(ctx, `
		SELECT enqueued_at, priority, plan FROM requests WHERE way = $1 AND enqueued_at > $2 ORDER BY enqueued_at DESC LIMIT $3`,
		string(w), stamp(after), n)
	if err != nil {
		return nil, err
	}
	return oldestFirst(collect(rows, func(row interface{ Scan(...any) error }) (a forecast.Arrival, err error) {
		err = row.Scan(scanTime{&a.At}, &a.Class, &a.Plan)
		return a, err
	}))
}

// RecentOutcomes implements hub.ForecastStore. A forecast is settled when its customer was claimed, or when its p90 has passed before.
func (t *Tx) RecentOutcomes(ctx context.Context, w hub.Way, after time.Time, n int) ([]forecast.Outcome, error) {
	rows, err := t.tx.QueryContext(ctx, `
		SELECT enqueued_at, priority, first_ahead, first_p50_ms, first_p90_ms, waited_ms, first_due_at FROM requests
		WHERE way = $1 AND first_busy = 1 AND first_due_at > $2 AND first_due_at <= $3 AND (waited_ms IS NULL OR waited_ms > first_p90_ms)
		UNION ALL
		SELECT enqueued_at, priority, first_ahead, first_p50_ms, first_p90_ms, waited_ms, claimed_at FROM requests
		WHERE way = $1 AND first_busy = 1 AND claimed_at > $2 AND claimed_at <= $3 AND waited_ms <= first_p90_ms
		ORDER BY 7 DESC LIMIT $4`, string(w), stamp(after), stamp(t.now), n)
	if err != nil {
		return nil, err
	}
	return oldestFirst(collect(rows, func(row interface{ Scan(...any) error }) (o forecast.Outcome, err error) {
		var p50, p90 int64
		var waited *int64
		var settled time.Time
		err = row.Scan(scanTime{&o.At}, &o.Class, &o.Ahead, &p50, &p90, &waited, scanTime{&settled})
		o.P50, o.P90 = milliseconds(p50), milliseconds(p90)
		if o.Waiting = waited == nil || *waited > p90; o.Waiting {
			o.Wait = max(settled.Sub(o.At), o.P90)
		} else {
			o.Wait = milliseconds(*waited)
		}
		return o, err
	}))
}

func milliseconds(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

func oldestFirst[T any](newest []T, err error) ([]T, error) {
	slices.Reverse(newest)
	return newest, err
}

// InService implements hub.ForecastStore.
func (t *Tx) InService(ctx context.Context) ([]hub.Serving, error) {
	rows, err := t.tx.QueryContext(ctx, `
		SELECT way, plan, claimed_at FROM requests
		WHERE state IN ('in_progress', 'credentials_received', 'migrating') AND claimed_at IS NOT NULL ORDER BY claimed_at`)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row interface{ Scan(...any) error }) (s hub.Serving, err error) {
		err = row.Scan(&s.Way, &s.Plan, scanTime{&s.Since})
		return s, err
	})
}

// WaitingGroups implements hub.ForecastStore.
func (t *Tx) WaitingGroups(ctx context.Context) ([]hub.WaitingGroup, error) {
	rows, err := t.tx.QueryContext(ctx, `
		SELECT way, priority, plan, count(*) FROM requests WHERE state = 'pending'
		GROUP BY way, priority, plan ORDER BY priority DESC, plan`)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row interface{ Scan(...any) error }) (g hub.WaitingGroup, err error) {
		err = row.Scan(&g.Way, &g.Class, &g.Plan, &g.Count)
		return g, err
	})
}

// ForecastRecord implements hub.ForecastStore.
func (t *Tx) ForecastRecord(ctx context.Context, since time.Time) ([]hub.ForecastKept, error) {
	rows, err := t.tx.QueryContext(ctx, `
		SELECT plan, count(*),
		       count(*) FILTER (WHERE waited_ms <= first_p50_ms), count(*) FILTER (WHERE waited_ms <= first_p90_ms),
		       count(*) FILTER (WHERE first_busy = 1),
		       count(*) FILTER (WHERE first_busy = 1 AND waited_ms <= first_p50_ms),
		       count(*) FILTER (WHERE first_busy = 1 AND waited_ms <= first_p90_ms),
		       count(ready_ms),
		       count(*) FILTER (WHERE ready_ms <= first_ready_p50_ms), count(*) FILTER (WHERE ready_ms <= first_ready_p90_ms)
		FROM requests WHERE claimed_at >= $1 AND waited_ms IS NOT NULL AND first_basis <> '' GROUP BY plan ORDER BY plan`, stamp(since))
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row interface{ Scan(...any) error }) (k hub.ForecastKept, err error) {
		err = row.Scan(&k.Plan, &k.Started, &k.StartP50, &k.StartP90, &k.Waited, &k.WaitedP50, &k.WaitedP90, &k.Ready, &k.ReadyP50, &k.ReadyP90)
		return k, err
	})
}

// RecentClaimers implements hub.ForecastStore.
func (t *Tx) RecentClaimers(ctx context.Context, since time.Time) (n int, err error) {
	err = t.tx.QueryRowContext(ctx, `
		SELECT count(DISTINCT assigned_to) FROM requests r WHERE claimed_at >= $1 AND assigned_to NOT IN ('', 'auto')`, stamp(since)).Scan(&n)
	return n, err
}

// PendingSince implements hub.ForecastStore.
func (t *Tx) PendingSince(ctx context.Context, before time.Time, n int) ([]*hub.Request, error) {
	return t.requests(ctx, requestSelect+`
		WHERE r.state = 'pending' AND r.priority < 2 AND coalesce(r.raised_at, r.enqueued_at) < $1 ORDER BY r.enqueued_at LIMIT $2`+t.d.lockFree, stamp(before), n)
}
