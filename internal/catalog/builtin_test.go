package catalog_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"

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
					if rows := texts(t, db, s.Text[hub.SQLite].SQL); len(rows) > 0 {
						t.Errorf("%s %s: %s", name, s.Name, strings.Join(rows, "; "))
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
