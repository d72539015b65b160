package catalog_test

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite"

	"github.com/kitshub/kitshub/internal/catalog"
	"github.com/kitshub/kitshub/internal/hub"
)

// openMemory opens an empty SQLite database in memory with foreign keys enforced.
func openMemory(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file::memory:?_pragma=foreign_keys(1)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1) // each connection to :memory: is a database of its own
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// apply runs all scripts of a plan's features on SQLite as the pipeline does: all migrations, then all seeds.
func apply(t *testing.T, db *sql.DB, c *hub.Catalog, features []string) {
	t.Helper()
	order, err := c.Closure(features)
	if err != nil {
		t.Fatal(err)
	}
	for _, seeds := range []bool{false, true} {
		for _, name := range order {
			f, _ := c.Feature(name)
			scripts := f.Migrations
			if seeds {
				scripts = f.Seeds
			}
			for _, s := range scripts {
				if _, err := db.ExecContext(context.Background(), s.Text[hub.SQLite].SQL); err != nil {
					t.Fatalf("%s: %v", s.Text[hub.SQLite].File, err)
				}
			}
		}
	}
}

func TestBuiltinAppliesOnSQLite(t *testing.T) {
	c, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range c.Plans {
		t.Run(p.ID, func(t *testing.T) {
			db := openMemory(t)
			apply(t, db, c, p.Features)
			order, _ := c.Closure(p.Features)
			for _, name := range order {
				f, _ := c.Feature(name)
				for _, s := range f.Checks {
					for _, st := range catalog.Split(s.Text[hub.SQLite].SQL, hub.SQLite) {
						if rows := texts(t, db, st.SQL); len(rows) > 0 {
							t.Errorf("%s:%d: %s", s.Text[hub.SQLite].File, st.Line, strings.Join(rows, "; "))
						}
					}
				}
			}
		})
	}
}

// texts runs a query and gives the first column of its rows.
func texts(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.QueryContext(context.Background(), query)
	if err != nil {
		t.Fatalf("%v\n%s", err, query)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// update rewrites goldens and records new migrations in the lock.
var update = flag.Bool("update", false, "rewrite golden files and the built-in catalog.lock")

func TestBuiltinTables(t *testing.T) {
	c, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	enterprise, ok := c.Plan("enterprise")
	if !ok {
		t.Fatal("there is no plan enterprise")
	}
	db := openMemory(t)
	apply(t, db, c, enterprise.Features)
	got := strings.Join(texts(t, db, `SELECT type || ' ' || name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite%' ORDER BY type, name`), "\n") + "\n"
	const golden = "testdata/tables.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not fresh; run go test ./internal/catalog -update and look at the change (-want +got):\n%s", golden, diff)
	}
}

// TestBuiltinPlans holds the promises of the contract.
func TestBuiltinPlans(t *testing.T) {
	c, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range c.Plans {
		got = append(got, fmt.Sprintf("%s %d %d/%d %s %v", p.ID, p.Priority, p.PriceMonthly, p.PriceYearly, p.Provisioning, p.Features))
	}
	want := []string{
		"starter 0 0/0 automatic [inventory]",
		"basic 0 29/290 automatic [inventory pos analytics]",
		"professional 1 99/990 automatic [inventory pos analytics crm]",
		"enterprise 2 299/2990 operator [inventory pos analytics crm hr accounting]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	order, err := c.Closure(c.Plans[3].Features)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"core", "inventory", "pos", "analytics", "crm", "hr", "accounting"}, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

// TestBuiltinPostgresIsGuarded reads the text: each table that is made has row-level security enabled and forced, and a policy.
func TestBuiltinPostgresIsGuarded(t *testing.T) {
	c, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	made := regexp.MustCompile(`(?m)^CREATE TABLE (\w+)`)
	n := 0
	for _, f := range c.Features {
		for _, s := range f.Migrations {
			text := s.Text[hub.Postgres].SQL
			for _, m := range made.FindAllStringSubmatch(text, -1) {
				n++
				for _, want := range []string{"ALTER TABLE %s ENABLE ROW LEVEL SECURITY;", "ALTER TABLE %s FORCE ROW LEVEL SECURITY;", " ON %s FOR SELECT"} {
					if w := fmt.Sprintf(want, m[1]); !strings.Contains(text, w) {
						t.Errorf("%s: there is no %q", s.Text[hub.Postgres].File, w)
					}
				}
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d tables were looked at", n)
	}
}

func TestBuiltinIsClean(t *testing.T) {
	for _, f := range catalog.Lint(context.Background(), catalog.BuiltinFS()) {
		t.Error(f)
	}
}
