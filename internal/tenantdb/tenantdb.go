package tenantdb

import (
	"context"
	"database/sql"
	"errors"

	"github.com/kitshub/kitshub/internal/hub"
)

// Statement is one SQL statement of a script: field for field what catalog.Split gives, so that it can be handed to New as it is.
type Statement struct {
	SQL    string
	Line   int // 1-based line of the script on which it starts
	Offset int // its first byte in the script
}

// DB implements hub.TenantDB for both dialects. It has no state of its own and may be used by any number of goroutines.
type DB struct {
	split func(sql string, d hub.Dialect) []Statement
}

var _ hub.TenantDB = (*DB)(nil)

// New takes the function that cuts a script into statements: catalog.Split. It is handed in, and typed by its shape, because adapters do not
// import one another. It is used to find the line of a statement that failed, to run checks and no-transaction scripts one statement at a time.
func New[S ~struct {
	SQL    string
	Line   int
	Offset int
}](split func(sql string, d hub.Dialect) []S,
) *DB {
	return &DB{split: func(sql string, d hub.Dialect) []Statement {
		cut := split(sql, d)
		out := make([]Statement, len(cut))
		for i, s := range cut {
			out[i] = Statement(s)
		}
		return out
	}}
}

// furniture is what every tenant database holds beside the catalog's tables. One text for both dialects.
const furniture = `
CREATE TABLE IF NOT EXISTS kitshub_ledger (
  step        TEXT PRIMARY KEY NOT NULL,
  checksum    TEXT NOT NULL,
  applied_at  TEXT NOT NULL,
  duration_us BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS kitshub_identity (
  one             INTEGER PRIMARY KEY NOT NULL CHECK (one = 1),
  tenant_id       TEXT NOT NULL,
  generation      BIGINT NOT NULL,
  catalog_version TEXT NOT NULL,
  mac             TEXT NOT NULL,
  sealed_at       TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS kitshub_probe (
  token      TEXT PRIMARY KEY NOT NULL,
  written_at TEXT NOT NULL
);`

// furnish makes the hub's own tables where they are missing. It looks first, so that the usual call writes nothing and takes no lock.
func furnish(ctx context.Context, db *sql.DB, d hub.Dialect) error {
	for try := 0; ; try++ {
		// The three are made in one transaction, so one of them stands for all.
		if there, err := hasTable(ctx, db, d, "kitshub_ledger"); err != nil || there {
			return err
		}
		err := politely(ctx, d, func() error {
			return inTx(ctx, db, nil, func(tx *sql.Tx) error {
				if d == hub.Postgres {
					if _, err := tx.ExecContext(ctx, lockTimeout); err != nil {
						return err
					}
				}
				_, err := tx.ExecContext(ctx, furniture+guard(d))
				return err
			})
		})
		// On Postgres IF NOT EXISTS does not see a table that another worker is making at this instant; the next look does.
		if err == nil || try == maxFurnish || !madeMeanwhile(err) {
			return err
		}
	}
}

// maxFurnish is how often two workers may get in each other's way in making the same three tables.
const maxFurnish = 5

// inTx runs f in a transaction and commits it when f returns nil.
func inTx(ctx context.Context, db *sql.DB, opts *sql.TxOptions, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, rollback(tx))
	}
	return tx.Commit()
}

// rollback ends a transaction without effect; one that is over already, as after a cancelled context, is no error.
func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}
