package tenantdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/kitshub/kitshub/internal/hub"
)

// Apply runs a migrate or seed step exactly once; see the package comment.
//
// Errors, each a *hub.StepError but for the end of ctx: class catalog for a statement that fails (with file and line), for a step that was
// edited after it was applied, and for a script that ends its own transaction; quota for a full disk, network for a lock that did not come
// free in time, data for a damaged database. In all of them nothing of the step remains.
func (t *DB) Apply(ctx context.Context, db *sql.DB, d hub.Dialect, s hub.Step) error {
	if !s.InLedger() {
		return &hub.StepError{Class: hub.ClassBug, Err: fmt.Errorf("step %q of kind %s is not one to apply", s.Name, s.Kind)}
	}
	if !s.Source.NoTransaction {
		if err := t.refuseTransactionWords(d, s); err != nil {
			return err
		}
		if d == hub.Postgres {
			return t.applyAtOnce(ctx, db, s)
		}
	}
	if err := furnish(ctx, db, d); err != nil {
		return fault("making the ledger", err)
	}
	if s.Source.NoTransaction {
		return t.applyLoose(ctx, db, d, s)
	}
	var script error // the script's own failure, whose line is worth finding
	err := inTx(ctx, db, nil, func(tx *sql.Tx) error {
		if done, err := enter(ctx, tx, s); err != nil || done {
			return err
		}
		begun := time.Now()
		if _, script = tx.ExecContext(ctx, s.Source.SQL); script != nil {
			return script
		}
		return leave(ctx, tx, s, time.Since(begun))
	})
	switch {
	case script != nil:
		return t.locate(ctx, db, d, s, script)
	case err != nil && isBroken(err): // a deferred constraint speaks at COMMIT
		return scriptFault(s.Source, 0, err)
	case err != nil:
		return fault(fmt.Sprintf("applying %s", s.Name), err)
	}
	return afterCommit(ctx, db, s)
}

// isBroken reports an error that only the script can have caused.
func isBroken(err error) bool {
	class, _ := classify(err)
	return class == hub.ClassCatalog
}

// enterRow writes the step's row, which is also its lock; done means that it was there already, with the same checksum.
func enterRow(ctx context.Context, q execQuerier, s hub.Step) (done bool, err error) {
	res, err := q.ExecContext(ctx, `INSERT INTO kitshub_ledger (step, checksum, applied_at, duration_us) VALUES ($1, $2, $3, 0)
		ON CONFLICT (step) DO NOTHING`, s.Name, s.Source.Checksum, stamp(time.Now()))
	if err != nil {
		return false, fault("writing the ledger", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return false, fault("writing the ledger", err)
	}
	if n == 1 {
		return false, nil
	}
	return isApplied(ctx, q, s)
}

type execQuerier interface {
	querier
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// isApplied looks the step up in the ledger and refuses it when it was edited since.
func isApplied(ctx context.Context, q querier, s hub.Step) (bool, error) {
	var sum string
	err := q.QueryRowContext(ctx, `SELECT checksum FROM kitshub_ledger WHERE step = $1`, s.Name).Scan(&sum)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fault("reading the ledger", err)
	case sum != s.Source.Checksum:
		return false, edited(s, sum)
	}
	return true, nil
}

func edited(s hub.Step, was string) error {
	return &hub.StepError{Class: hub.ClassCatalog, File: s.Source.File, Line: 1, Err: fmt.Errorf(
		"step %q was edited after it was applied (checksum %.12s then, %.12s now); restore the released text and put the change into a new migration",
		s.Name, was, s.Source.Checksum)}
}

func leaveRow(ctx context.Context, q execQuerier, s hub.Step, took time.Duration) error {
	res, err := q.ExecContext(ctx, `UPDATE kitshub_ledger SET duration_us = $1 WHERE step = $2`, took.Microseconds(), s.Name)
	if err != nil {
		return fault("writing the ledger", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return fault("writing the ledger", err)
	}
	return rowIsGone(s)
}

func rowIsGone(s hub.Step) error {
	return &hub.StepError{Class: hub.ClassCatalog, File: s.Source.File, Err: fmt.Errorf(
		"step %q removed its own row from kitshub_ledger; that table is the hub's: leave it out of the script", s.Name)}
}

// applyLoose runs a no-transaction script, then writes its row.
func (t *DB) applyLoose(ctx context.Context, db *sql.DB, d hub.Dialect, s hub.Step) error {
	if done, err := isApplied(ctx, db, s); err != nil || done {
		return err
	}
	// All of it again where a lock was in the way: it is written to be run twice, and a statement by itself may not be.
	if err := politely(ctx, d, func() error { return t.runLoose(ctx, db, d, s) }); err != nil {
		return err
	}
	_, err := enterRow(ctx, db, s)
	return err
}

// runLoose runs a script statement by statement, on a connection that it throws away, so that neither a setting nor an open transaction of the
// script reaches the next user of the pool.
func (t *DB) runLoose(ctx context.Context, db *sql.DB, d hub.Dialect, s hub.Step) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return fault("connecting", err)
	}
	defer func() {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // closes it for good
		_ = conn.Close()                                           // reports only that it is closed
	}()
	for _, st := range t.split(s.Source.SQL, d) {
		if d == hub.Postgres {
			if err := prepareLoose(ctx, conn, st.SQL); err != nil {
				return fault("preparing the connection", err)
			}
		}
		if _, err := conn.ExecContext(ctx, st.SQL); err != nil {
			return scriptFault(s.Source, st.Line, err)
		}
	}
	return nil
}

// locate finds the line of the statement with which a script failed: it runs the script again, one statement at a time, in a transaction that
// is rolled back. Done this way round because a whole script in one round trip is the fast way, and failing is rare.
func (t *DB) locate(ctx context.Context, db *sql.DB, d hub.Dialect, s hub.Step, cause error) error {
	class, code := classify(cause)
	if isContextEnd(cause) || ctx.Err() != nil || (class != hub.ClassCatalog && class != hub.ClassAuth) {
		return scriptFault(s.Source, 0, cause)
	}
	line := 0
	_ = inTx(ctx, db, nil, func(tx *sql.Tx) error {
		if d == hub.Postgres {
			if _, err := tx.ExecContext(ctx, lockTimeout); err != nil {
				return err
			}
		}
		for _, st := range t.split(s.Source.SQL, d) {
			if _, err := tx.ExecContext(ctx, st.SQL); err != nil {
				if _, again := classify(err); again == code {
					line = st.Line
				}
				break
			}
		}
		return errNotForReal
	})
	return scriptFault(s.Source, line, cause)
}

var errNotForReal = errors.New("only tried")

// refuseTransactionWords keeps a script from ending the transaction that its ledger row is in: everything after its COMMIT would be outside.
func (t *DB) refuseTransactionWords(d hub.Dialect, s hub.Step) error {
	for _, st := range t.split(s.Source.SQL, d) {
		word := st.SQL
		if end := strings.IndexFunc(word, func(c rune) bool { return !unicode.IsLetter(c) }); end >= 0 {
			word = word[:end]
		}
		switch strings.ToUpper(word) {
		case "BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT":
			return &hub.StepError{Class: hub.ClassCatalog, File: s.Source.File, Line: st.Line, Err: fmt.Errorf(
				"%s in a script that already runs in a transaction; take it out, or mark the script \"-- kitshub:no-transaction\" and write it so that it may run twice", word)}
		}
	}
	return nil
}

// stamp is how times are stored: fixed width, UTC, microseconds, so that text order is time order on both engines.
func stamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000000Z") }
