package store

import (
	"context"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// Counts implements hub.RequestStore. Each query walks an index of what it counts, so a long line or a long history costs little.
func (t *Tx) Counts(ctx context.Context, dayStart time.Time, withPending bool) (hub.Counts, error) {
	c := hub.Counts{ByState: map[hub.State]int{}}
	if err := t.countStates(ctx, &c); err != nil {
		return c, err
	}
	if withPending {
		if err := t.countPending(ctx, &c); err != nil {
			return c, err
		}
	}
	if err := t.countFinished(ctx, &c, dayStart); err != nil {
		return c, err
	}
	err := t.tx.QueryRowContext(ctx, `
		SELECT count(*) FROM requests WHERE overdue_at < $1 AND state <> 'completed' AND state <> 'cancelled'`, stamp(t.now)).Scan(&c.Overdue)
	if err != nil {
		return c, err
	}
	c.AverageWait, err = t.averageWait(ctx)
	return c, err
}

func (t *Tx) countStates(ctx context.Context, c *hub.Counts) error {
	rows, err := t.tx.QueryContext(ctx, `SELECT state, count(*) FROM requests WHERE state <> 'pending' GROUP BY state`)
	if err != nil {
		return err
	}
	_, err = collect(rows, func(row interface{ Scan(...any) error }) (struct{}, error) {
		var s hub.State
		var n int
		err := row.Scan(&s, &n)
		c.ByState[s] = n
		return struct{}{}, err
	})
	return err
}

func (t *Tx) countPending(ctx context.Context, c *hub.Counts) error {
	rows, err := t.tx.QueryContext(ctx, `SELECT priority, count(*), min(enqueued_at) FROM requests WHERE state = 'pending' GROUP BY priority`)
	if err != nil {
		return err
	}
	_, err = collect(rows, func(row interface{ Scan(...any) error }) (struct{}, error) {
		var p, n int
		var oldest time.Time
		if err := row.Scan(&p, &n, scanTime{&oldest}); err != nil {
			return struct{}{}, err
		}
		c.Pending[p] = n
		c.ByState[hub.Pending] += n
		if c.OldestPending == nil || oldest.Before(*c.OldestPending) {
			c.OldestPending = &oldest
		}
		return struct{}{}, nil
	})
	return err
}

func (t *Tx) countFinished(ctx context.Context, c *hub.Counts, dayStart time.Time) error {
	hour := t.now.Add(-time.Hour)
	since := dayStart
	if hour.Before(since) {
		since = hour
	}
	rows, err := t.tx.QueryContext(ctx, `
		SELECT state, count(*) FILTER (WHERE finished_at >= $2), count(*) FILTER (WHERE finished_at >= $3)
		FROM requests WHERE finished_at >= $1 AND state IN ('completed', 'failed') GROUP BY state`, stamp(since), stamp(dayStart), stamp(hour))
	if err != nil {
		return err
	}
	_, err = collect(rows, func(row interface{ Scan(...any) error }) (struct{}, error) {
		var s hub.State
		var today, lastHour int
		if err := row.Scan(&s, &today, &lastHour); err != nil {
			return struct{}{}, err
		}
		if s == hub.Completed {
			c.CompletedToday, c.CompletedHour = today, lastHour
		} else {
			c.FailedToday = today
		}
		return struct{}{}, nil
	})
	return err
}

// averageWait is over those claimed within the last 24 hours; at most a thousand of them, which is plenty for an average.
func (t *Tx) averageWait(ctx context.Context) (time.Duration, error) {
	rows, err := t.tx.QueryContext(ctx, `
		SELECT enqueued_at, claimed_at FROM requests WHERE claimed_at >= $1 ORDER BY claimed_at DESC LIMIT 1000`, stamp(t.now.Add(-24*time.Hour)))
	if err != nil {
		return 0, err
	}
	waits, err := collect(rows, scanSpan)
	if err != nil || len(waits) == 0 {
		return 0, err
	}
	var sum time.Duration
	for _, w := range waits {
		sum += w
	}
	return sum / time.Duration(len(waits)), nil
}

func scanSpan(row interface{ Scan(...any) error }) (time.Duration, error) {
	var from, to time.Time
	err := row.Scan(scanTime{&from}, scanTime{&to})
	return to.Sub(from), err
}
