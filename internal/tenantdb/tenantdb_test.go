package tenantdb_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/kitshub/kitshub/internal/catalog"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/tenantdb"
	"github.com/kitshub/kitshub/internal/testkit"
)

// engine is what the same test runs on.
type engine struct {
	name    string
	dialect hub.Dialect
	driver  string
	place   func(t *testing.T) (dsn string) // an empty database
}

var engines = []engine{
	{"sqlite", hub.SQLite, "sqlite", func(t *testing.T) string {
		dsn := "file:" + filepath.Join(t.TempDir(), "tenant.db") + "?_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)"
		exec(t, opened(t, "sqlite", dsn), "PRAGMA journal_mode = WAL") // stays with the file; of two who switch at once one is told at once that it is locked
		return dsn
	}},
	{"postgres", hub.Postgres, "pgx", func(t *testing.T) string { return testkit.Postgres(t) }},
}

// fresh gives an empty database; open may be called more than once, for connections of their own.
func (e engine) fresh(t *testing.T) (open func() *sql.DB) {
	dsn := e.place(t)
	return func() *sql.DB { return opened(t, e.driver, dsn) }
}

func opened(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// onEach runs a test on every engine.
func onEach(t *testing.T, f func(t *testing.T, d hub.Dialect, open func() *sql.DB)) {
	t.Helper()
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { f(t, e.dialect, e.fresh(t)) })
	}
}

func newDB() *tenantdb.DB { return tenantdb.New(catalog.Split) }

func step(kind hub.StepKind, name, text string) hub.Step {
	sum := sha256.Sum256([]byte(text))
	return hub.Step{Name: name, Kind: kind, Title: name, Source: hub.Source{
		File: "features/" + name + ".sql", SQL: text, Checksum: hex.EncodeToString(sum[:]),
	}}
}

func migration(name, text string) hub.Step { return step(hub.StepMigrate, name, text) }

func apply(t *testing.T, db *sql.DB, d hub.Dialect, steps ...hub.Step) {
	t.Helper()
	for _, s := range steps {
		if err := newDB().Apply(t.Context(), db, d, s); err != nil {
			t.Fatalf("applying %s: %v", s.Name, err)
		}
	}
}

// wantFault checks class, file and line and gives the fault.
func wantFault(t *testing.T, err error, class hub.Class, file string, line int) *hub.StepError {
	t.Helper()
	var fault *hub.StepError
	if !errors.As(err, &fault) {
		t.Fatalf("got %v (%T), want a *hub.StepError", err, err)
	}
	if fault.Class != class || fault.File != file || fault.Line != line {
		t.Fatalf("got class %s at %s:%d (%v), want class %s at %s:%d", fault.Class, fault.File, fault.Line, err, class, file, line)
	}
	return fault
}

// wantRefusal is wantFault where class and place say all.
func wantRefusal(t *testing.T, err error, class hub.Class, file string, line int) {
	t.Helper()
	_ = wantFault(t, err, class, file, line)
}

// stillAtIt ends a test that watches for something which what has ended cannot do any more.
func stillAtIt(t *testing.T, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		t.Fatalf("it ended before it was seen to wait: %v", err)
	default:
	}
}

func count(t *testing.T, db *sql.DB, query string) int {
	t.Helper()
	var n int
	if err := db.QueryRowContext(context.WithoutCancel(t.Context()), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func exec(t *testing.T, db *sql.DB, query string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}
