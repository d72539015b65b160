package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// txView shows a transaction that database/sql began as a pgx.Tx on the same connection, so that what River inserts commits together with
// the hub's rows. The transaction stays its owner's: Commit and Rollback of the view are refused; those of a nested Begin are savepoints.
//
// It lives inside sql.Conn.Raw, which keeps database/sql off the connection. Each statement first makes sure that the transaction is still
// open: database/sql rolls back by itself when a context ends, and a statement after that would commit alone.
type txView struct {
	conn      *pgx.Conn
	savepoint string // empty for the transaction itself
	deep      int
	done      bool
}

var (
	errNotOurs  = errors.New("this transaction is ended by the store that began it")
	errTxIsOver = errors.New("the transaction is over, so nothing may be written in its name")
)

func (t *txView) open() error {
	if t.done || t.conn.PgConn().TxStatus() != 'T' {
		return errTxIsOver
	}
	return nil
}

func (t *txView) Begin(ctx context.Context) (pgx.Tx, error) {
	nested := &txView{conn: t.conn, savepoint: fmt.Sprintf("jobs_%d", t.deep+1), deep: t.deep + 1}
	if _, err := t.Exec(ctx, "SAVEPOINT "+nested.savepoint); err != nil {
		return nil, err
	}
	return nested, nil
}

func (t *txView) Commit(ctx context.Context) error { return t.end(ctx, "RELEASE SAVEPOINT ") }

// Rollback of a savepoint works in a failed transaction too; that is what it is for.
func (t *txView) Rollback(ctx context.Context) error { return t.end(ctx, "ROLLBACK TO SAVEPOINT ") }

func (t *txView) end(ctx context.Context, how string) error {
	switch {
	case t.savepoint == "":
		return errNotOurs
	case t.done:
		return pgx.ErrTxClosed
	}
	t.done = true
	_, err := t.conn.Exec(ctx, how+t.savepoint)
	return err
}

func (t *txView) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if err := t.open(); err != nil {
		return pgconn.CommandTag{}, err
	}
	return t.conn.Exec(ctx, sql, args...)
}

func (t *txView) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := t.open(); err != nil {
		return nil, err
	}
	return t.conn.Query(ctx, sql, args...)
}

func (t *txView) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if err := t.open(); err != nil {
		return failedRow{err}
	}
	return t.conn.QueryRow(ctx, sql, args...)
}

func (t *txView) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, src pgx.CopyFromSource) (int64, error) {
	if err := t.open(); err != nil {
		return 0, err
	}
	return t.conn.CopyFrom(ctx, table, columns, src)
}

func (t *txView) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if err := t.open(); err != nil {
		return failedBatch{t, err}
	}
	return t.conn.SendBatch(ctx, b)
}

func (t *txView) Prepare(ctx context.Context, name, sql string) (*pgconn.StatementDescription, error) {
	if err := t.open(); err != nil {
		return nil, err
	}
	return t.conn.Prepare(ctx, name, sql)
}

func (t *txView) LargeObjects() pgx.LargeObjects { panic("jobs: River uses no large objects") }
func (t *txView) Conn() *pgx.Conn                { return t.conn }

type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

type failedBatch struct {
	tx  *txView
	err error
}

func (b failedBatch) Exec() (pgconn.CommandTag, error) { return pgconn.CommandTag{}, b.err }
func (b failedBatch) Query() (pgx.Rows, error)         { return nil, b.err }
func (b failedBatch) QueryRow() pgx.Row                { return failedRow{b.err} }
func (b failedBatch) Tx() pgx.Tx                       { return b.tx }
func (b failedBatch) Close() error                     { return b.err }
