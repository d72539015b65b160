package store

import (
	"context"

	"github.com/kitshub/kitshub/internal/hub"
)

// PutSteps implements hub.StepStore.
func (t *Tx) PutSteps(ctx context.Context, requestID string, steps []hub.StepRecord) error {
	if _, err := t.tx.ExecContext(ctx, `DELETE FROM request_steps WHERE request_id = $1`, requestID); err != nil {
		return err
	}
	stmt, err := t.tx.PrepareContext(ctx, `
		INSERT INTO request_steps (request_id, seq, name, kind, title, status, started_at, finished_at, tries, failure)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`)
	if err != nil {
		return err
	}
	defer func() { _ = stmt.Close() }() // ends with the transaction at the latest
	for _, s := range steps {
		if _, err := stmt.ExecContext(ctx, requestID, s.Seq, s.Name, string(s.Kind), s.Title, string(s.Status),
			stampOrNull(s.StartedAt), stampOrNull(s.FinishedAt), s.Tries, asJSON{s.Failure}); err != nil {
			return err
		}
	}
	return nil
}

// Steps implements hub.StepStore.
func (t *Tx) Steps(ctx context.Context, requestID string) ([]hub.StepRecord, error) {
	rows, err := t.tx.QueryContext(ctx, `
		SELECT seq, name, kind, title, status, started_at, finished_at, tries, failure FROM request_steps WHERE request_id = $1 ORDER BY seq`, requestID)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row interface{ Scan(...any) error }) (hub.StepRecord, error) {
		var s hub.StepRecord
		err := row.Scan(&s.Seq, &s.Name, &s.Kind, &s.Title, &s.Status, scanTimeOrNull{&s.StartedAt}, scanTimeOrNull{&s.FinishedAt}, &s.Tries, scanJSON{&s.Failure})
		return s, err
	})
}

// UpdateStep implements hub.StepStore.
func (t *Tx) UpdateStep(ctx context.Context, requestID string, s hub.StepRecord) error {
	return changedOne(t.tx.ExecContext(ctx, `
		UPDATE request_steps SET status = $3, started_at = $4, finished_at = $5, tries = $6, failure = $7 WHERE request_id = $1 AND seq = $2`,
		requestID, s.Seq, string(s.Status), stampOrNull(s.StartedAt), stampOrNull(s.FinishedAt), s.Tries, asJSON{s.Failure}))
}
