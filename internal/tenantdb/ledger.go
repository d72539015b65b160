package tenantdb

import (
	"context"
	"database/sql"

	"github.com/kitshub/kitshub/internal/hub"
)

// Ledger gives the checksum of each applied step by step name; nil where there is no ledger yet.
func (*DB) Ledger(ctx context.Context, db *sql.DB, _ hub.Dialect) (map[string]string, error) {
	sums, err := ledger(ctx, db)
	return sums, fault("reading the ledger", err)
}

func ledger(ctx context.Context, q querier) (_ map[string]string, err error) {
	rows, err := q.QueryContext(ctx, `SELECT step, checksum FROM kitshub_ledger`)
	if isNoTable(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	sums := map[string]string{}
	for rows.Next() {
		var step, sum string
		if err := rows.Scan(&step, &sum); err != nil {
			return nil, err
		}
		sums[step] = sum
	}
	return sums, rows.Err()
}
