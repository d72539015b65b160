package store

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/kitshub/kitshub/internal/hub"
)

// PutSteps implements hub.StepStore.
func (t *Tx) PutSteps(ctx context.Context, requestID string, steps []hub.StepRecord) error {
	if _, err := t.tx.ExecContext(ctx, `DELETE FROM request_steps WHERE request_id = $1`, requestID); err != nil {
		return err
	}
	return t.writeSteps(ctx, requestID, steps, "")
}

// UpdateSteps implements hub.StepStore.
func (t *Tx) UpdateSteps(ctx context.Context, requestID string, steps []hub.StepRecord) error {
	return t.writeSteps(ctx, requestID, steps, ` ON CONFLICT (request_id, seq) DO UPDATE SET
		status = excluded.status, started_at = excluded.started_at, finished_at = excluded.finished_at, tries = excluded.tries, failure = excluded.failure`)
}

// stepsAtOnce is more than the steps of a usual request. SQLite's driver looks each parameter up by its name, so what a statement costs grows
// with the square of its rows.
const stepsAtOnce = 100

// writeSteps writes many rows by one statement: on Postgres each statement is a round trip.
func (t *Tx) writeSteps(ctx context.Context, requestID string, steps []hub.StepRecord, conflict string) error {
	for some := range slices.Chunk(steps, stepsAtOnce) {
		var text strings.Builder
		text.WriteString(`INSERT INTO request_steps (request_id, seq, name, kind, title, status, started_at, finished_at, tries, failure) VALUES `)
		args := []any{requestID}
		for i, s := range some {
			if i > 0 {
				text.WriteString(", ")
			}
			text.WriteString("($1")
			for _, v := range []any{s.Seq, s.Name, string(s.Kind), s.Title, string(s.Status), stampOrNull(s.StartedAt), stampOrNull(s.FinishedAt), s.Tries, asJSON{s.Failure}} {
				args = append(args, v)
				text.WriteString(", $" + strconv.Itoa(len(args)))
			}
			text.WriteString(")")
		}
		if _, err := t.tx.ExecContext(ctx, text.String()+conflict, args...); err != nil {
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
