package store

import (
	"context"

	"github.com/kitshub/kitshub/internal/hub"
)

// AppendAudit implements hub.AuditStore.
func (t *Tx) AppendAudit(ctx context.Context, e *hub.AuditEntry) error {
	detail := e.Detail
	if detail == nil {
		detail = map[string]any{}
	}
	_, err := t.tx.ExecContext(ctx, `
		INSERT INTO audit_entries (id, at, actor_kind, actor_id, actor_name, action, target, detail, call_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		e.ID, stamp(e.At), string(e.ActorKind), e.ActorID, e.ActorName, e.Action, e.Target, asJSON{detail}, e.RequestID)
	return err
}

// ListAudit implements hub.AuditStore.
func (t *Tx) ListAudit(ctx context.Context, target, before string, n int) ([]*hub.AuditEntry, error) {
	var w where
	w.equal("target", target)
	if before != "" {
		w.text("id < $%d", before)
	}
	rows, err := t.tx.QueryContext(ctx, `
		SELECT id, at, actor_kind, actor_id, actor_name, action, target, detail, call_id FROM audit_entries`+
		w.String()+` ORDER BY id DESC`+limit(n), w.args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row interface{ Scan(...any) error }) (*hub.AuditEntry, error) {
		var e hub.AuditEntry
		err := row.Scan(&e.ID, scanTime{&e.At}, &e.ActorKind, &e.ActorID, &e.ActorName, &e.Action, &e.Target, scanJSON{&e.Detail}, &e.RequestID)
		return &e, err
	})
}
