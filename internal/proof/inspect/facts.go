package inspect

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"
)

// Facts are what the engine reports about a database, as "what" → "how it is". Two databases are alike when their facts are.
type Facts map[string]string

// The engines of tenants' databases, as the catalog's files name them.
const (
	sqlite   = "sqlite"
	postgres = "postgres"
)

// ours leaves out what belongs to SQLite and to the hub: those are looked at by name.
const ours = `m.name NOT LIKE 'sqlite\_%' ESCAPE '\' AND m.tbl_name NOT LIKE 'kitshub\_%' ESCAPE '\'`

// questions each give rows of two columns: what, and how it is.
var questions = []string{
	`SELECT m.type || ' ' || m.name, 'on ' || m.tbl_name || ': ' || coalesce(m.sql, '') FROM sqlite_schema m WHERE ` + ours,

	`SELECT 'column ' || m.name || '.' || x.name, x.cid || ' ' || x.type || ' notnull=' || x."notnull" || ' default=' || coalesce(x.dflt_value, 'none')
		|| ' primary key=' || x.pk || ' hidden=' || x.hidden
	 FROM sqlite_schema m, pragma_table_xinfo(m.name) x WHERE m.type IN ('table', 'view') AND ` + ours,

	`SELECT 'foreign key ' || m.name || '.' || f.id || '.' || f.seq, f."from" || ' references ' || f."table" || '(' || coalesce(f."to", '') || ') on update '
		|| f.on_update || ' on delete ' || f.on_delete
	 FROM sqlite_schema m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table' AND ` + ours,

	`SELECT 'index ' || i.name || ' part ' || x.seqno, m.name || ' unique=' || i."unique" || ' from=' || i.origin || ' partial=' || i.partial
		|| ' of ' || coalesce(x.name, 'an expression') || ' desc=' || x.desc || ' collate ' || x.coll
	 FROM sqlite_schema m, pragma_index_list(m.name) i, pragma_index_xinfo(i.name) x WHERE m.type = 'table' AND x.key = 1 AND ` + ours,
}

// Of asks a SQLite file.
func Of(ctx context.Context, db Querier) (Facts, error) {
	facts := Facts{}
	err := facts.ask(ctx, db, questions, func(table string) (string, error) {
		columns, err := steady(ctx, db, `SELECT name, coalesce(dflt_value, '') FROM pragma_table_xinfo(`+literal(table)+`)`, `quote(%s)`)
		return `SELECT ` + columns + ` AS line, '' FROM ` + identifier(table) + ` ORDER BY line`, err
	})
	return facts, err
}

// ask puts the questions, then reads the rows of every table there is by the query that read gives for it.
func (f Facts) ask(ctx context.Context, db Querier, questions []string, read func(table string) (query string, err error)) error {
	for _, q := range questions {
		if err := each(ctx, db, q, func(what, how string) { f[what] = how }); err != nil {
			return fmt.Errorf("ask for the schema: %w", err)
		}
	}
	for _, t := range f.tables() {
		q, err := read(t)
		if err == nil {
			f["rows of "+t], err = digestRows(ctx, db, q)
		}
		if err != nil {
			return fmt.Errorf("read the rows of %s: %w", t, err)
		}
	}
	return nil
}

// steady gives, as one expression, a table's columns without those that the clock or chance fills in. The query gives names and defaults.
func steady(ctx context.Context, db Querier, query, asText string) (string, error) {
	columns := []string{"''"}
	err := each(ctx, db, query, func(name, value string) {
		v := strings.ToLower(value)
		for _, unsteady := range []string{"now", "current_", "random", "clock_"} {
			if strings.Contains(v, unsteady) {
				return
			}
		}
		columns = append(columns, fmt.Sprintf(asText, identifier(name)))
	})
	return strings.Join(columns, ` || ',' || `), err
}

// digestRows makes one line of a query's first column.
func digestRows(ctx context.Context, db Querier, q string) (string, error) {
	h, n := sha256.New(), 0
	if err := each(ctx, db, q, func(line, _ string) { n++; fmt.Fprintln(h, line) }); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d, digest %s", n, hex.EncodeToString(h.Sum(nil))[:16]), nil
}

func literal(s string) string    { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
func identifier(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// Querier is a database, or a transaction in one.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each hands the rows of a query of two texts to take.
func each(ctx context.Context, db Querier, query string, take func(a, b string)) (err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var a, b string
		if err := rows.Scan(&a, &b); err != nil {
			return err
		}
		take(a, b)
	}
	return rows.Err()
}

// Tables counts the tables.
func (f Facts) Tables() int { return len(f.tables()) }

func (f Facts) tables() (names []string) {
	for what := range f {
		if name, ok := strings.CutPrefix(what, "table "); ok {
			names = append(names, name)
		}
	}
	return names
}
