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

// Of asks a database.
func Of(ctx context.Context, db *sql.DB) (Facts, error) {
	facts := Facts{}
	for _, q := range questions {
		err := each(ctx, db, q, func(what, how string) { facts[what] = how })
		if err != nil {
			return nil, fmt.Errorf("ask for the schema: %w", err)
		}
	}
	var tables []string
	for what := range facts {
		if name, ok := strings.CutPrefix(what, "table "); ok {
			tables = append(tables, name)
		}
	}
	for _, t := range tables {
		how, err := rowsOf(ctx, db, t)
		if err != nil {
			return nil, fmt.Errorf("read the rows of %s: %w", t, err)
		}
		facts["rows of "+t] = how
	}
	return facts, nil
}

// rowsOf digests a table's rows without the columns that the clock or chance fills in.
func rowsOf(ctx context.Context, db *sql.DB, table string) (string, error) {
	var columns []string
	err := each(ctx, db, `SELECT name, coalesce(dflt_value, '') FROM pragma_table_xinfo(`+literal(table)+`)`, func(name, value string) {
		v := strings.ToLower(value)
		if !strings.Contains(v, "now") && !strings.Contains(v, "current_") && !strings.Contains(v, "random") {
			columns = append(columns, `quote("`+strings.ReplaceAll(name, `"`, `""`)+`")`)
		}
	})
	if err != nil {
		return "", err
	}
	if len(columns) == 0 {
		columns = []string{"''"}
	}
	h, n := sha256.New(), 0
	q := `SELECT ` + strings.Join(columns, ` || ',' || `) + ` AS line, '' FROM "` + strings.ReplaceAll(table, `"`, `""`) + `" ORDER BY line`
	if err := each(ctx, db, q, func(line, _ string) { n++; fmt.Fprintln(h, line) }); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d, digest %s", n, hex.EncodeToString(h.Sum(nil))[:16]), nil
}

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// each hands the rows of a query of two texts to take.
func each(ctx context.Context, db *sql.DB, query string, take func(a, b string)) (err error) {
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
func (f Facts) Tables() int {
	n := 0
	for what := range f {
		if strings.HasPrefix(what, "table ") {
			n++
		}
	}
	return n
}
