package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// TakeReceipt implements hub.ReceiptStore.
func (t *Tx) TakeReceipt(ctx context.Context, r *hub.Receipt) (*hub.Receipt, error) {
	res, err := t.tx.ExecContext(ctx, `
		INSERT INTO receipts (principal, route, key_hash, body_hash, instance, status, sealed, created_at)
		VALUES ($1, $2, $3, $4, $5, 0, NULL, $6) ON CONFLICT (principal, route, key_hash) DO NOTHING`,
		r.Principal, r.Route, r.KeyHash, r.BodyHash, r.Instance, stamp(r.CreatedAt))
	if err != nil {
		return nil, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return nil, err
	}
	there := hub.Receipt{Principal: r.Principal, Route: r.Route, KeyHash: r.KeyHash}
	err = t.tx.QueryRowContext(ctx, `
		SELECT body_hash, instance, status, sealed, created_at FROM receipts WHERE principal = $1 AND route = $2 AND key_hash = $3`,
		r.Principal, r.Route, r.KeyHash).Scan(&there.BodyHash, &there.Instance, &there.Status, &there.Sealed, scanTime{&there.CreatedAt})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, hub.ErrConflict // freed between the two statements: the transaction is run again
	}
	return &there, err
}

// FinishReceipt implements hub.ReceiptStore.
func (t *Tx) FinishReceipt(ctx context.Context, r *hub.Receipt) error {
	return changedOne(t.tx.ExecContext(ctx, `
		UPDATE receipts SET status = $5, sealed = $6 WHERE principal = $1 AND route = $2 AND key_hash = $3 AND instance = $4 AND status = 0`,
		r.Principal, r.Route, r.KeyHash, r.Instance, r.Status, r.Sealed))
}

// FreeReceipt implements hub.ReceiptStore.
func (t *Tx) FreeReceipt(ctx context.Context, r *hub.Receipt) error {
	_, err := t.tx.ExecContext(ctx, `DELETE FROM receipts WHERE principal = $1 AND route = $2 AND key_hash = $3 AND instance = $4 AND status = $5`,
		r.Principal, r.Route, r.KeyHash, r.Instance, r.Status)
	return err
}

// DeleteReceiptsBefore implements hub.ReceiptStore.
func (t *Tx) DeleteReceiptsBefore(ctx context.Context, before time.Time) error {
	_, err := t.tx.ExecContext(ctx, `DELETE FROM receipts WHERE created_at < $1`, stamp(before))
	return err
}
