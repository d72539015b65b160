//go:build sabotage

package tenantdb

import (
	"context"
	"database/sql"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// The planted bug: the ledger row is written after the step's transaction, so a kill -9 between the two applies the step twice. Only
// "proof … -sabotage" builds with this tag, to show that its check can fail.

func enter(ctx context.Context, tx *sql.Tx, s hub.Step) (done bool, err error) {
	return isApplied(ctx, tx, s)
}

func leave(context.Context, *sql.Tx, hub.Step, time.Duration) error { return nil }

func before(ctx context.Context, db *sql.DB, s hub.Step) (done bool, err error) {
	if err := furnish(ctx, db, hub.Postgres); err != nil {
		return false, err
	}
	return isApplied(ctx, db, s)
}

func framed(s hub.Step) string { return lockTimeout + ";\n" + s.Source.SQL }

// gap is long enough for a kill to fall into.
const gap = 20 * time.Millisecond

func afterCommit(ctx context.Context, db *sql.DB, s hub.Step) error {
	time.Sleep(gap)
	_, err := enterRow(ctx, db, s)
	return err
}
