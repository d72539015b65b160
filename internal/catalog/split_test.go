package catalog_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kitshub/kitshub/internal/catalog"
	"github.com/kitshub/kitshub/internal/hub"
)

func TestSplit(t *testing.T) {
	type st = catalog.Statement
	const trigger = "CREATE TRIGGER t AFTER UPDATE ON a\nBEGIN\n  UPDATE a SET b = CASE WHEN c THEN 1 ELSE 2 END;\n  SELECT 1;\nEND"
	for _, tt := range []struct {
		name string
		d    hub.Dialect
		in   string
		want []st
	}{
		{"nothing", hub.SQLite, "", nil},
		{"only comments and semicolons", hub.SQLite, " ; -- a;\n/* b; */ ;;", nil},
		{"two with lines", hub.SQLite, "SELECT 1;\n\n-- why\nSELECT\n2 ; ", []st{{SQL: "SELECT 1", Line: 1}, {SQL: "SELECT\n2", Line: 4}}},
		{"no last semicolon, comment behind", hub.SQLite, "SELECT 1 -- end;\n", []st{{SQL: "SELECT 1", Line: 1}}},
		{"quotes", hub.SQLite, `SELECT 'a;''b;', "c;""d;"; SELECT 2`, []st{{SQL: `SELECT 'a;''b;', "c;""d;"`, Line: 1}, {SQL: "SELECT 2", Line: 1}}},
		{"sqlite names", hub.SQLite, "SELECT [a;b], `c;d`; SELECT 2", []st{{SQL: "SELECT [a;b], `c;d`", Line: 1}, {SQL: "SELECT 2", Line: 1}}},
		{"postgres subscripts are no names", hub.Postgres, "SELECT a[1; SELECT 2", []st{{SQL: "SELECT a[1", Line: 1}, {SQL: "SELECT 2", Line: 1}}},
		{"backslash is plain", hub.Postgres, `SELECT 'a\'; SELECT 2`, []st{{SQL: `SELECT 'a\'`, Line: 1}, {SQL: "SELECT 2", Line: 1}}},
		{"escape string", hub.Postgres, `SELECT E'a\';b'; SELECT 2`, []st{{SQL: `SELECT E'a\';b'`, Line: 1}, {SQL: "SELECT 2", Line: 1}}},
		{"a name that ends in e", hub.Postgres, `SELECT type'a\'; SELECT 2`, []st{{SQL: `SELECT type'a\'`, Line: 1}, {SQL: "SELECT 2", Line: 1}}},
		{"dollar quotes", hub.Postgres, "DO $$ a; $b$ $$; DO $x$ b; $$ ; $x$; SELECT $1;", []st{{SQL: "DO $$ a; $b$ $$", Line: 1}, {SQL: "DO $x$ b; $$ ; $x$", Line: 1}, {SQL: "SELECT $1", Line: 1}}},
		{"no dollar quotes in sqlite", hub.SQLite, "SELECT $$; SELECT $$", []st{{SQL: "SELECT $$", Line: 1}, {SQL: "SELECT $$", Line: 1}}},
		{"nested comments", hub.Postgres, "SELECT 1 /* a /* ; */ ; */; SELECT 2", []st{{SQL: "SELECT 1", Line: 1}, {SQL: "SELECT 2", Line: 1}}},
		{"sqlite comments do not nest", hub.SQLite, "SELECT 1 /* a /* ; */; SELECT 2", []st{{SQL: "SELECT 1", Line: 1}, {SQL: "SELECT 2", Line: 1}}},
		{"trigger", hub.SQLite, trigger + ";\nSELECT 1;", []st{{SQL: trigger, Line: 1}, {SQL: "SELECT 1", Line: 6}}},
		{"temporary trigger", hub.SQLite, "create temp trigger t begin select 1; end; select 2", []st{{SQL: "create temp trigger t begin select 1; end", Line: 1}, {SQL: "select 2", Line: 1}}},
		{"a transaction is no body", hub.SQLite, "BEGIN; SELECT 1; END;", []st{{SQL: "BEGIN", Line: 1}, {SQL: "SELECT 1", Line: 1}, {SQL: "END", Line: 1}}},
		{"rule", hub.Postgres, "CREATE RULE r AS ON INSERT TO a DO (SELECT 1; SELECT 2); SELECT 3", []st{{SQL: "CREATE RULE r AS ON INSERT TO a DO (SELECT 1; SELECT 2)", Line: 1}, {SQL: "SELECT 3", Line: 1}}},
		{
			"atomic body", hub.Postgres, "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE 1 WHEN 1 THEN 2 END; SELECT 3; END; SELECT 4",
			[]st{{SQL: "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE 1 WHEN 1 THEN 2 END; SELECT 3; END", Line: 1}, {SQL: "SELECT 4", Line: 1}},
		},
		{"unclosed", hub.Postgres, "SELECT 1;\nSELECT 'a;\nb;", []st{{SQL: "SELECT 1", Line: 1}, {SQL: "SELECT 'a;\nb;", Line: 2}}},
		{"windows lines", hub.SQLite, "SELECT 1;\r\nSELECT 2;\r\n", []st{{SQL: "SELECT 1", Line: 1}, {SQL: "SELECT 2", Line: 2}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []st
			for _, s := range catalog.Split(tt.in, tt.d) {
				got = append(got, st{SQL: s.SQL, Line: s.Line}) // the fuzz target holds the offsets
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzSplit holds three things: statements stand in the text in their order and on their lines; what lies between them is empty of statements;
// and a statement is one statement.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{
		"SELECT 1; SELECT 'a;b';", "CREATE TRIGGER t BEGIN SELECT 1; END;", "DO $a$ ; $a$; /* ; /* */ */ x", "CREATE FUNCTION f() BEGIN ATOMIC CASE; END; END;", "a;(;);[;`;\"e'\\';",
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, sql string, postgres bool) {
		d := hub.SQLite
		if postgres {
			d = hub.Postgres
		}
		at := 0
		gap := func(end int) {
			if rest := catalog.Split(sql[at:end], d); len(rest) > 0 {
				t.Fatalf("lost between statements: %+v", rest)
			}
		}
		for _, st := range catalog.Split(sql, d) {
			if !strings.HasPrefix(sql[st.Offset:], st.SQL) || st.Line != 1+strings.Count(sql[:st.Offset], "\n") {
				t.Fatalf("%q does not stand at offset %d, line %d", st.SQL, st.Offset, st.Line)
			}
			gap(st.Offset)
			at = st.Offset + len(st.SQL)
			if again := catalog.Split(st.SQL, d); len(again) != 1 || again[0].SQL != st.SQL {
				t.Fatalf("%q splits again into %+v", st.SQL, again)
			}
		}
		gap(len(sql))
	})
}
