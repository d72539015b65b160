//go:build !sabotage

package tenantdb

import (
	"context"
	"database/sql"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// The ledger row is written in the step's transaction. sabotage_on.go is the planted bug that the proof program must catch.

func enter(ctx context.Context, tx *sql.Tx, s hub.Step) (done bool, err error) {
	return enterRow(ctx, tx, s)
}

func leave(ctx context.Context, tx *sql.Tx, s hub.Step, took time.Duration) error {
	return leaveRow(ctx, tx, s, took)
}

// before and framed are enter and leave where all of a step is one message.
func before(context.Context, *sql.DB, hub.Step) (done bool, err error) { return false, nil }

func framed(s hub.Step) string { return opening(s) + s.Source.SQL + closing(s) }

func afterCommit(context.Context, *sql.DB, hub.Step) error { return nil }
