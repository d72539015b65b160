//go:build unix

package placekit

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/kitshub/kitshub/internal/proof/check"
)

// Replace takes some out of the line in the database (they count as claimed) and puts others in.
func (w *World) Replace(ctx context.Context, left, came map[string]Waiting) error {
	tx, err := w.DB.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if err := inParts(left, func(ids []string) error {
		marks, args := list(ids)
		_, err := tx.ExecContext(ctx, `UPDATE requests SET state = 'in_progress', assigned_to = 'opr_proof', version = 2 WHERE id IN (`+marks+`)`, args...)
		return err
	}); err != nil {
		return fmt.Errorf("take out of the line: %w", err)
	}
	if err := inParts(came, func(ids []string) error {
		customers := table{"customers", strings.Fields("id email company_name contact_name phone billing search created_at"), len(ids), func(i int) []any {
			return []any{"cus_" + ids[i], ids[i] + "@line.example", "Company", "Pat Proof", "", "{}", "", stamp(came[ids[i]].At)}
		}}
		requests := table{"requests", requestColumns, len(ids), func(i int) []any { return requestRow(came[ids[i]], "cus_"+ids[i]) }}
		if err := customers.write(ctx, tx); err != nil {
			return err
		}
		return requests.write(ctx, tx)
	}); err != nil {
		return fmt.Errorf("put into the line: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	if w.Engine == check.Postgres { // what its own housekeeping would do after so many changes
		_, err = w.DB.ExecContext(ctx, "VACUUM ANALYZE requests")
	}
	return err
}

func inParts(all map[string]Waiting, f func(ids []string) error) error {
	ids := make([]string, 0, len(all))
	for id := range all {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for part := range slices.Chunk(ids, rowsAtOnce) {
		if err := f(part); err != nil {
			return err
		}
	}
	return nil
}

func list(ids []string) (marks string, args []any) {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", i+1)
		args = append(args, id)
	}
	return b.String(), args
}

// PlaceBySQL is what an index spares: the customer's own row, then the count of who is ahead.
func (w *World) PlaceBySQL(ctx context.Context, id string) (int, error) {
	var priority int64
	var at string
	err := w.DB.QueryRowContext(ctx, `SELECT priority, enqueued_at FROM requests WHERE id = $1 AND state = 'pending'`, id).Scan(&priority, &at)
	if err != nil {
		return 0, fmt.Errorf("the row of %s: %w", id, err)
	}
	var ahead int
	err = w.DB.QueryRowContext(ctx, `SELECT count(*) FROM requests
		WHERE state = 'pending' AND (priority > $1 OR (priority = $1 AND (enqueued_at, id) < ($2, $3)))`, priority, at, id).Scan(&ahead)
	return ahead + 1, err
}

// write inserts all rows by one statement.
func (t table) write(ctx context.Context, tx *sql.Tx) error {
	var text strings.Builder
	fmt.Fprintf(&text, "INSERT INTO %s (%s) VALUES ", t.name, strings.Join(t.columns, ", "))
	var args []any
	for i := range t.n {
		if i > 0 {
			text.WriteString(", ")
		}
		row := t.row(i)
		for k := range row {
			if k == 0 {
				text.WriteString("(")
			} else {
				text.WriteString(", ")
			}
			fmt.Fprintf(&text, "$%d", len(args)+k+1)
		}
		text.WriteString(")")
		args = append(args, row...)
	}
	_, err := tx.ExecContext(ctx, text.String(), args...)
	return err
}
