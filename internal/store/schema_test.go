package store_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kitshub/kitshub/internal/store"
)

// schema is what both engines can say about themselves in the same words.
type schema struct {
	Tables  []table
	Indexes []index
}

type table struct {
	Name    string
	Columns []column
}

type column struct {
	Name string
	Type string // text, number, bytes
	Null bool
	Key  int // place in the primary key, 0 outside it
}

type index struct {
	Name, Table string
	Unique      bool
	Columns     string
	Where       string
}

// word gives each engine's name of a type its common one.
var word = map[string]string{"TEXT": "text", "text": "text", "INTEGER": "number", "bigint": "number", "BLOB": "bytes", "bytea": "bytes"}

func schemaOf(t *testing.T, s *store.Store) (out schema) {
	t.Helper()
	tables, columns, indexes := sqliteTables, sqliteColumns, sqliteIndexes
	if s.Pool() != nil {
		tables, columns, indexes = postgresTables, postgresColumns, postgresIndexes
	}
	for _, name := range query(t, s, tables, scanText) {
		cols := query(t, s, columns, func(r *sql.Rows) (c column, err error) {
			err = r.Scan(&c.Name, &c.Type, &c.Null, &c.Key)
			if word[c.Type] == "" && err == nil {
				err = fmt.Errorf("%s.%s has the type %q, which the portable subset does not know", name, c.Name, c.Type)
			}
			c.Type = word[c.Type]
			return c, err
		}, name)
		out.Tables = append(out.Tables, table{name, cols})
	}
	for _, def := range query(t, s, indexes, func(r *sql.Rows) (d [2]string, err error) { return d, r.Scan(&d[0], &d[1]) }) {
		out.Indexes = append(out.Indexes, parseIndex(t, def[0], def[1]))
	}
	slices.SortFunc(out.Indexes, func(a, b index) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// The hub's own tables; goose keeps its version in a table of its own.
const (
	sqliteTables    = `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'goose_db_version' ORDER BY name`
	postgresTables  = `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name <> 'goose_db_version' ORDER BY table_name COLLATE "C"`
	sqliteColumns   = `SELECT name, type, "notnull" = 0 AND pk = 0, pk FROM pragma_table_info($1) ORDER BY cid`
	postgresColumns = `
		SELECT c.column_name, c.data_type, c.is_nullable = 'YES', coalesce(array_position(i.indkey::int[], c.ordinal_position::int) + 1, 0)
		FROM information_schema.columns c LEFT JOIN pg_index i ON i.indrelid = c.table_name::regclass AND i.indisprimary
		WHERE c.table_schema = 'public' AND c.table_name = $1 ORDER BY c.ordinal_position`
	sqliteIndexes   = `SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND tbl_name <> 'goose_db_version'`
	postgresIndexes = `
		SELECT c.relname, pg_get_indexdef(c.oid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = 'public' AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = c.oid) AND i.indrelid <> 'goose_db_version'::regclass`
)

func scanText(r *sql.Rows) (s string, err error) { return s, r.Scan(&s) }

func query[T any](t *testing.T, s *store.Store, text string, scan func(*sql.Rows) (T, error), args ...any) (out []T) {
	t.Helper()
	rows, err := s.WriterDB().QueryContext(t.Context(), text, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	}()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

var (
	indexDef = regexp.MustCompile(`(?s)^CREATE (UNIQUE )?INDEX \w+ ON (?:public\.)?(\w+)(?: USING btree)? \((.+?)\)(?: WHERE (.+))?$`)
	noise    = regexp.MustCompile(`::text|[()]`) // what Postgres adds when it says a condition again
)

// parseIndex reads a definition: SQLite keeps what was written, Postgres writes its own, with the same parts in the same order.
func parseIndex(t *testing.T, name, def string) index {
	t.Helper()
	m := indexDef.FindStringSubmatch(def)
	if m == nil {
		t.Fatalf("an index that this test cannot read: %s", def)
	}
	return index{Name: name, Table: m[2], Unique: m[1] != "", Columns: m[3], Where: noise.ReplaceAllString(m[4], "")}
}

func schemaText(t *testing.T, s *store.Store) string {
	t.Helper()
	b, err := json.MarshalIndent(schemaOf(t, s), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// dump is the golden's form: one line for a column, in the engine's own types, so that a diff says what changed.
func dump(t *testing.T, s *store.Store) string {
	t.Helper()
	var b strings.Builder
	sc := schemaOf(t, s)
	for _, tb := range sc.Tables {
		fmt.Fprintf(&b, "table %s\n", tb.Name)
		for _, c := range tb.Columns {
			fmt.Fprintf(&b, "  %-22s %s", c.Name, c.Type)
			if c.Key > 0 {
				fmt.Fprintf(&b, " key %d", c.Key)
			}
			if !c.Null {
				b.WriteString(" not null")
			}
			b.WriteByte('\n')
		}
		for _, rule := range constraints(t, s, tb.Name) {
			fmt.Fprintf(&b, "  %s\n", rule)
		}
	}
	for _, i := range sc.Indexes {
		fmt.Fprintf(&b, "index %s on %s (%s)", i.Name, i.Table, i.Columns)
		if i.Unique {
			b.WriteString(" unique")
		}
		if i.Where != "" {
			b.WriteString(" where " + i.Where)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// constraints are in each engine's own words: SQLite's from the text of the table, which is all it keeps of a CHECK.
func constraints(t *testing.T, s *store.Store, name string) []string {
	if s.Pool() != nil {
		return query(t, s, `SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::regclass AND contype <> 'p' ORDER BY 1`, scanText, name)
	}
	text := query(t, s, `SELECT sql FROM sqlite_schema WHERE name = $1`, scanText, name)[0]
	var out []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(strings.TrimSpace(line), ",")
		for _, w := range []string{"CHECK", "UNIQUE", "REFERENCES"} {
			if strings.Contains(line, w) {
				out = append(out, line)
				break
			}
		}
	}
	if strings.Contains(text, "STRICT") {
		out = append(out, "STRICT")
	}
	return out
}
