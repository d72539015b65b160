package store

import (
	"context"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// Beat implements hub.InstanceStore.
func (t *Tx) Beat(ctx context.Context, id, home string, workers int) error {
	_, err := t.tx.ExecContext(ctx, `
		INSERT INTO instances (id, home, workers, beat_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at, workers = excluded.workers`, id, home, workers, stamp(t.now))
	return err
}

// LiveInstances implements hub.InstanceStore.
func (t *Tx) LiveInstances(ctx context.Context, since time.Time) ([]hub.Instance, error) {
	rows, err := t.tx.QueryContext(ctx, `SELECT id, workers, beat_at FROM instances WHERE beat_at >= $1 ORDER BY id`, stamp(since))
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row interface{ Scan(...any) error }) (hub.Instance, error) {
		var i hub.Instance
		err := row.Scan(&i.ID, &i.Workers, scanTime{&i.BeatAt})
		return i, err
	})
}

// BuryInstances implements hub.InstanceStore.
func (t *Tx) BuryInstances(ctx context.Context, since time.Time, home, exceptID string) ([]string, error) {
	rows, err := t.tx.QueryContext(ctx, `DELETE FROM instances WHERE id <> $3 AND (beat_at < $1 OR home = $2) RETURNING id`, stamp(since), home, exceptID)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row interface{ Scan(...any) error }) (string, error) {
		var id string
		err := row.Scan(&id)
		return id, err
	})
}

// RemoveInstance implements hub.InstanceStore.
func (t *Tx) RemoveInstance(ctx context.Context, id string) error {
	_, err := t.tx.ExecContext(ctx, `DELETE FROM instances WHERE id = $1`, id)
	return err
}
