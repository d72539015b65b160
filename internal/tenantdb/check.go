package tenantdb

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/kitshub/kitshub/internal/hub"
)

// shownRow is how many characters of a row that a check found are shown: enough to find it again, little enough for a log line.
const shownRow = 200

// Check runs the queries of a check step one after another, in a transaction that is always rolled back. The first one that returns a row is
// a fault of class data that names file and line and shows the beginning of the row; one that fails is a fault of class catalog.
func (t *DB) Check(ctx context.Context, db *sql.DB, d hub.Dialect, s hub.Step) error {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fault("starting the check", err)
	}
	defer func() { _ = rollback(tx) }()
	for _, st := range t.split(s.Source.SQL, d) {
		row, err := firstRow(ctx, tx, st.SQL)
		if err != nil {
			return scriptFault(s.Source, st.Line, err)
		}
		if row != "" {
			return &hub.StepError{Class: hub.ClassData, File: s.Source.File, Line: st.Line, Err: fmt.Errorf(
				"check %q found a row that should not be there: %s; mend the data, or the check if it asks too much, then retry", s.Name, row)}
		}
	}
	return nil
}

// firstRow describes the first row of a query as "column=value, …", cut to shownRow characters; empty when there is none.
func firstRow(ctx context.Context, q querier, query string) (_ string, err error) {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		return "", rows.Err()
	}
	names, err := rows.Columns()
	if err != nil {
		return "", err
	}
	values, at := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		at[i] = &values[i]
	}
	if err := rows.Scan(at...); err != nil {
		return "", err
	}
	var b strings.Builder
	for i, v := range values {
		if raw, ok := v.([]byte); ok {
			v = string(raw)
		}
		if v == nil {
			v = "NULL"
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s=%v", names[i], v)
	}
	return cut(b.String(), shownRow), nil
}

func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
