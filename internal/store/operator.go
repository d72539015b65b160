package store

import (
	"context"
	"errors"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

const operatorSelect = `SELECT id, email, name, role, password_hash, created_at, disabled_at FROM operators`

func scanOperator(row interface{ Scan(...any) error }) (*hub.Operator, error) {
	var o hub.Operator
	err := row.Scan(&o.ID, &o.Email, &o.Name, &o.Rank, &o.PasswordHash, scanTime{&o.CreatedAt}, scanTimeOrNull{&o.DisabledAt})
	return &o, err
}

// InsertOperator implements hub.OperatorStore.
func (t *Tx) InsertOperator(ctx context.Context, o *hub.Operator) error {
	_, err := t.tx.ExecContext(ctx, `
		INSERT INTO operators (id, email, name, role, password_hash, created_at, disabled_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		o.ID, o.Email, o.Name, string(o.Rank), o.PasswordHash, stamp(o.CreatedAt), stampOrNull(o.DisabledAt))
	if isUnique(err) {
		return hub.FieldError(hub.CodeOperatorExists, "email", "There is an operator with this email already.", "Use another email.")
	}
	return err
}

// Operator implements hub.OperatorStore.
func (t *Tx) Operator(ctx context.Context, id string) (*hub.Operator, error) {
	o, err := scanOperator(t.tx.QueryRowContext(ctx, operatorSelect+` WHERE id = $1`, id))
	return o, orNotFound(err, "operator", id)
}

// OperatorByEmail implements hub.OperatorStore.
func (t *Tx) OperatorByEmail(ctx context.Context, email string) (*hub.Operator, error) {
	o, err := scanOperator(t.tx.QueryRowContext(ctx, operatorSelect+` WHERE email = $1`, email))
	return o, orNotFound(err, "operator", email)
}

// ListOperators implements hub.OperatorStore.
func (t *Tx) ListOperators(ctx context.Context) ([]*hub.Operator, error) {
	rows, err := t.tx.QueryContext(ctx, operatorSelect+` ORDER BY id`)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanOperator)
}

// CountOperators implements hub.OperatorStore.
func (t *Tx) CountOperators(ctx context.Context) (n int, err error) {
	err = t.tx.QueryRowContext(ctx, `SELECT count(*) FROM operators`).Scan(&n)
	return n, err
}

// OperatorsWorking implements hub.OperatorStore.
func (t *Tx) OperatorsWorking(ctx context.Context, since time.Time) (n int, err error) {
	err = t.tx.QueryRowContext(ctx, `
		SELECT count(*) FROM operators o
		WHERE o.disabled_at IS NULL AND o.role <> 'support' AND (
			EXISTS (SELECT 1 FROM sessions s WHERE s.operator_id = o.id AND s.seen_at >= $1) OR
			EXISTS (SELECT 1 FROM requests r WHERE r.assigned_to = o.id AND r.state = 'in_progress'))`, stamp(since)).Scan(&n)
	return n, err
}

// SetPasswordHash implements hub.OperatorStore.
func (t *Tx) SetPasswordHash(ctx context.Context, operatorID, hash string) error {
	return changedOne(t.tx.ExecContext(ctx, `UPDATE operators SET password_hash = $2 WHERE id = $1`, operatorID, hash))
}

// InsertSession implements hub.OperatorStore.
func (t *Tx) InsertSession(ctx context.Context, s *hub.Session) error {
	_, err := t.tx.ExecContext(ctx, `INSERT INTO sessions (hash, operator_id, created_at, seen_at) VALUES ($1, $2, $3, $4)`,
		s.TokenHash, s.OperatorID, stamp(s.CreatedAt), stamp(s.SeenAt))
	return err
}

// Session implements hub.OperatorStore.
func (t *Tx) Session(ctx context.Context, hash []byte) (*hub.Session, error) {
	s := hub.Session{TokenHash: hash}
	err := t.tx.QueryRowContext(ctx, `SELECT operator_id, created_at, seen_at FROM sessions WHERE hash = $1`, hash).
		Scan(&s.OperatorID, scanTime{&s.CreatedAt}, scanTime{&s.SeenAt})
	return &s, orNotFound(err, "session", "…")
}

// TouchSession implements hub.OperatorStore.
func (t *Tx) TouchSession(ctx context.Context, hash []byte, at time.Time) error {
	_, err := t.tx.ExecContext(ctx, `UPDATE sessions SET seen_at = $2 WHERE hash = $1`, hash, stamp(at))
	return err
}

// DeleteSession implements hub.OperatorStore.
func (t *Tx) DeleteSession(ctx context.Context, hash []byte) error {
	_, err := t.tx.ExecContext(ctx, `DELETE FROM sessions WHERE hash = $1`, hash)
	return err
}

// DeleteSessionsBefore implements hub.OperatorStore.
func (t *Tx) DeleteSessionsBefore(ctx context.Context, idle, absolute time.Time) error {
	_, err := t.tx.ExecContext(ctx, `DELETE FROM sessions WHERE seen_at < $1 OR created_at < $2`, stamp(idle), stamp(absolute))
	return err
}

// InsertAPIToken implements hub.OperatorStore.
func (t *Tx) InsertAPIToken(ctx context.Context, a *hub.APIToken) error {
	_, err := t.tx.ExecContext(ctx, `
		INSERT INTO api_tokens (id, name, role, scopes, hash, created_at, created_by, revoked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		a.ID, a.Name, string(a.Rank), listJSON(a.Scopes), a.Hash, stamp(a.CreatedAt), a.CreatedBy, stampOrNull(a.RevokedAt))
	return err
}

// APITokenByHash implements hub.OperatorStore.
func (t *Tx) APITokenByHash(ctx context.Context, hash []byte) (*hub.APIToken, error) {
	var a hub.APIToken
	err := t.tx.QueryRowContext(ctx, `SELECT id, name, role, scopes, hash, created_at, created_by, revoked_at FROM api_tokens WHERE hash = $1`, hash).
		Scan(&a.ID, &a.Name, &a.Rank, scanJSON{&a.Scopes}, &a.Hash, scanTime{&a.CreatedAt}, &a.CreatedBy, scanTimeOrNull{&a.RevokedAt})
	return &a, orNotFound(err, "token", "…")
}

// PutSetupToken implements hub.OperatorStore.
func (t *Tx) PutSetupToken(ctx context.Context, hash []byte, expires time.Time) error {
	_, err := t.tx.ExecContext(ctx, `INSERT INTO setup_tokens (hash, expires_at) VALUES ($1, $2)`, hash, stamp(expires))
	return err
}

// SetupTokenValid implements hub.OperatorStore.
func (t *Tx) SetupTokenValid(ctx context.Context, hash []byte, now time.Time) (bool, error) {
	var n int
	err := t.tx.QueryRowContext(ctx, `SELECT count(*) FROM setup_tokens WHERE hash = $1 AND expires_at > $2`, hash, stamp(now)).Scan(&n)
	return n > 0, err
}

// TakeSetupToken implements hub.OperatorStore.
func (t *Tx) TakeSetupToken(ctx context.Context, hash []byte, now time.Time) (bool, error) {
	err := changedOne(t.tx.ExecContext(ctx, `DELETE FROM setup_tokens WHERE hash = $1 AND expires_at > $2`, hash, stamp(now)))
	if errors.Is(err, hub.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// DeleteSetupTokens implements hub.OperatorStore.
func (t *Tx) DeleteSetupTokens(ctx context.Context) error {
	_, err := t.tx.ExecContext(ctx, `DELETE FROM setup_tokens`)
	return err
}
