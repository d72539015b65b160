package tenantdb

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/kitshub/kitshub/internal/hub"
)

// This file and classify.go are the only ones that know the engine.

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// hasTable looks for a table where unqualified names are looked for.
func hasTable(ctx context.Context, q querier, d hub.Dialect, name string) (bool, error) {
	query := `SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1)`
	if d == hub.Postgres {
		query = `SELECT to_regclass($1) IS NOT NULL`
	}
	var there bool
	if err := q.QueryRowContext(ctx, query, name).Scan(&there); err != nil {
		return false, fmt.Errorf("looking for table %s: %w", name, err)
	}
	return there, nil
}

// brokenReferences describes the first rows that point at nothing. Postgres checks its keys always; SQLite only on connections that ask for it,
// so a script or a program may have left some.
func brokenReferences(ctx context.Context, q querier, d hub.Dialect) (string, error) {
	if d != hub.SQLite {
		return "", nil
	}
	return firstRow(ctx, q, `PRAGMA foreign_key_check`)
}
