package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/kitshub/kitshub/internal/hub"
)

const operationSelect = `SELECT id, kind, target, error, created_at, finished_at FROM operations`

func scanOperation(row interface{ Scan(...any) error }) (*hub.Operation, error) {
	var o hub.Operation
	err := row.Scan(&o.ID, &o.Kind, &o.Target, &o.Error, scanTime{&o.CreatedAt}, scanTimeOrNull{&o.FinishedAt})
	return &o, err
}

// InsertOperation implements hub.OperationStore.
func (t *Tx) InsertOperation(ctx context.Context, o *hub.Operation) error {
	_, err := t.tx.ExecContext(ctx, `INSERT INTO operations (id, kind, target, error, created_at, finished_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		o.ID, o.Kind, o.Target, o.Error, stamp(o.CreatedAt), stampOrNull(o.FinishedAt))
	return err
}

// Operation implements hub.OperationStore.
func (t *Tx) Operation(ctx context.Context, id string) (*hub.Operation, error) {
	o, err := scanOperation(t.tx.QueryRowContext(ctx, operationSelect+` WHERE id = $1`, id))
	return o, orNotFound(err, "operation", id)
}

// OpenOperation implements hub.OperationStore.
func (t *Tx) OpenOperation(ctx context.Context, target string) (*hub.Operation, bool, error) {
	o, err := scanOperation(t.tx.QueryRowContext(ctx, operationSelect+` WHERE target = $1 AND finished_at IS NULL ORDER BY id DESC LIMIT 1`, target))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	return o, err == nil, err
}

// FinishOperations implements hub.OperationStore.
func (t *Tx) FinishOperations(ctx context.Context, target, failure string) error {
	_, err := t.tx.ExecContext(ctx, `UPDATE operations SET finished_at = $2, error = $3 WHERE target = $1 AND finished_at IS NULL`, target, stamp(t.now), failure)
	return err
}
