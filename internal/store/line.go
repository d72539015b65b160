package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/queue"
)

// EachPending implements hub.LineStore.
func (t *Tx) EachPending(ctx context.Context, each func(queue.Change)) (err error) {
	rows, err := t.tx.QueryContext(ctx, `
		SELECT r.id, r.version, r.priority, r.way, r.enqueued_at FROM requests r WHERE r.state = 'pending'`+lineOrder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		c := queue.Change{Pending: true}
		var way hub.Way
		var at time.Time
		if err := rows.Scan(&c.ID, &c.Version, &c.Key.Priority, &way, scanTime{&at}); err != nil {
			return err
		}
		c.Key.EnqueuedAt = at.UnixMicro()
		if c.Way = queue.Automatic; way == hub.ByOperator {
			c.Way = queue.Operator
		}
		each(c)
	}
	return rows.Err()
}

// SumPending implements hub.LineStore.
func (t *Tx) SumPending(ctx context.Context) (n int, versions int64, err error) {
	err = t.tx.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(version), 0) FROM requests WHERE state = 'pending'`).Scan(&n, &versions)
	return n, versions, err
}

// announceAtOnce bounds one notification: Postgres takes 8,000 bytes, and a change has at most 150.
const announceAtOnce = 50

// AnnounceLine implements hub.LineStore.
func (t *Tx) AnnounceLine(ctx context.Context, changes []queue.Change) error {
	if t.d.notify == "" {
		return nil
	}
	for len(changes) > 0 {
		n := min(len(changes), announceAtOnce)
		payload, err := json.Marshal(changes[:n])
		if err != nil {
			return err
		}
		if _, err := t.tx.ExecContext(ctx, t.d.notify, string(payload)); err != nil {
			return err
		}
		changes = changes[n:]
	}
	return nil
}
