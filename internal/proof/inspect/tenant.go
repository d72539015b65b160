package inspect

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver of tenants' databases on Postgres
	_ "modernc.org/sqlite"             // and of their files
)

// Judge compares tenants' databases with a catalog. It is safe for concurrent use.
type Judge struct {
	catalog *Catalog
	server  string // where databases to compare with are made; empty: in memory, by SQLite

	mu    sync.Mutex
	seen  map[string]*Expected
	empty *sql.DB // nil until it is needed
	drop  func() error
}

// NewJudge makes a judge of SQLite files by a catalog. Close it.
func NewJudge(c *Catalog) *Judge { return &Judge{catalog: c, seen: map[string]*Expected{}} }

// NewPostgresJudge makes a judge of Postgres databases. The server is the address of a superuser; what the tenants' databases are compared
// with is made there, in a database that goes with the judge. Close it.
func NewPostgresJudge(c *Catalog, server string) *Judge {
	j := NewJudge(c)
	j.server = server
	return j
}

// Expected is how a database with a feature set must look.
type Expected struct {
	Facts  Facts
	Ledger map[string]string // step → checksum of its text
}

// Expect builds the expectation for a feature set on an empty database; each set is built once.
func (j *Judge) Expect(ctx context.Context, features []string) (*Expected, error) {
	key := slices.Sorted(slices.Values(features))
	j.mu.Lock()
	defer j.mu.Unlock()
	if e := j.seen[strings.Join(key, " ")]; e != nil {
		return e, nil
	}
	scripts, err := j.catalog.scripts(features)
	if err != nil {
		return nil, err
	}
	empty, err := j.emptyDatabase(ctx)
	if err != nil {
		return nil, fmt.Errorf("an empty database to compare with: %w", err)
	}
	tx, err := empty.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // so that it is empty again
	engine, of := sqlite, Of
	if j.server != "" {
		engine, of = postgres, ofPostgres
	}
	e := &Expected{Ledger: map[string]string{}}
	for _, s := range scripts {
		text := s.sql[engine]
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return nil, fmt.Errorf("the catalog's %s does not run on an empty database: %w", s.step, err)
		}
		e.Ledger[s.step] = digest(text)
	}
	if e.Facts, err = of(ctx, tx); err != nil {
		return nil, err
	}
	j.seen[strings.Join(key, " ")] = e
	return e, nil
}

// emptyDatabase gives the one in which texts are run to compare with, and makes it at the first call.
func (j *Judge) emptyDatabase(ctx context.Context) (_ *sql.DB, err error) {
	if j.empty != nil {
		return j.empty, nil
	}
	if j.server != "" {
		j.empty, j.drop, err = emptyPostgres(ctx, j.server)
		return j.empty, err
	}
	db, err := sql.Open(sqlite, ":memory:?_pragma=foreign_keys(1)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // each connection would have a memory of its own
	j.empty, j.drop = db, db.Close
	return db, nil
}

// Close removes what was made to compare with.
func (j *Judge) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.empty == nil {
		return nil
	}
	j.empty = nil
	return j.drop()
}

// Tenant opens a tenant's database as a program of the customer's would and lists what is not as the catalog promises; none means that all is
// well. The place is a file or a postgres:// address with the customer's login.
func (j *Judge) Tenant(ctx context.Context, place string, features []string) ([]string, error) {
	want, err := j.Expect(ctx, features)
	if err != nil {
		return nil, err
	}
	db, err := Open(place)
	if err != nil {
		return nil, err
	}
	compare := compareSQLite
	if j.server != "" {
		compare = comparePostgres
	}
	wrong, err := compare(ctx, db, want)
	if err == nil {
		var more []string
		more, err = compareHubs(ctx, db, want)
		wrong = append(wrong, more...)
	}
	return wrong, errors.Join(err, db.Close())
}

// Open opens a database that must be there, as a customer's program would: a file, or a postgres:// address.
func Open(place string) (*sql.DB, error) {
	driver := sqlite
	if strings.HasPrefix(place, "postgres://") {
		driver = "pgx"
	} else {
		u := url.URL{Scheme: "file", Path: place, RawQuery: "mode=rw&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)"}
		place = u.String()
	}
	db, err := sql.Open(driver, place)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

func compareSQLite(ctx context.Context, db *sql.DB, want *Expected) ([]string, error) {
	var wrong []string
	var whole string
	if err := db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&whole); err != nil {
		return nil, fmt.Errorf("it is no sound database: %w", err)
	}
	if whole != "ok" {
		wrong = append(wrong, "integrity: "+whole)
	}
	var dangling int
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM pragma_foreign_key_check`).Scan(&dangling); err != nil {
		return nil, err
	}
	if dangling > 0 {
		wrong = append(wrong, fmt.Sprintf("%d rows refer to rows that are not there", dangling))
	}
	facts, err := Of(ctx, db)
	if err != nil {
		return nil, err
	}
	return append(wrong, want.Facts.Diff(facts)...), nil
}

// compareHubs looks at what the hub keeps in the database: which steps it did, and whose it is.
func compareHubs(ctx context.Context, db *sql.DB, want *Expected) ([]string, error) {
	wrong, err := compareLedger(ctx, db, want.Ledger)
	if err != nil {
		return nil, err
	}
	var owners int
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM kitshub_identity`).Scan(&owners); err != nil {
		return nil, fmt.Errorf("look for the identity: %w", err)
	}
	if owners != 1 {
		wrong = append(wrong, fmt.Sprintf("the identity has %d rows instead of one", owners))
	}
	return wrong, nil
}

func compareLedger(ctx context.Context, db *sql.DB, want map[string]string) ([]string, error) {
	var wrong []string
	times := map[string]int{}
	err := each(ctx, db, `SELECT step, checksum FROM kitshub_ledger ORDER BY step`, func(step, sum string) {
		times[step]++
		switch expected, ok := want[step]; {
		case !ok:
			wrong = append(wrong, "the ledger has a step that the catalog has not: "+step)
		case sum != expected:
			wrong = append(wrong, "the ledger has another checksum for "+step)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	for step := range want {
		if times[step] != 1 {
			wrong = append(wrong, fmt.Sprintf("the ledger has %s %d times instead of once", step, times[step]))
		}
	}
	slices.Sort(wrong)
	return wrong, nil
}

// Diff says how got differs from f, ordered.
func (f Facts) Diff(got Facts) []string {
	var out []string
	for what, how := range f {
		switch g, ok := got[what]; {
		case !ok:
			out = append(out, what+" is missing")
		case g != how:
			out = append(out, fmt.Sprintf("%s is %q instead of %q", what, g, how))
		}
	}
	for what := range got {
		if _, ok := f[what]; !ok {
			out = append(out, what+" is there, and the catalog has none")
		}
	}
	slices.Sort(out)
	return out
}

// Effects counts the rows of one table by their text, for checks that count how often something was done.
func Effects(ctx context.Context, place, query string) (map[string]int, error) {
	db, err := Open(place)
	if err != nil {
		return nil, err
	}
	times := map[string]int{}
	err = each(ctx, db, query, func(what, _ string) { times[what]++ })
	return times, errors.Join(err, db.Close())
}

// PlanFeatures gives the features that a plan lists; none for an unknown plan.
func (j *Judge) PlanFeatures(id string) []string {
	i := slices.IndexFunc(j.catalog.Plans, func(p Plan) bool { return p.ID == id })
	if i < 0 {
		return nil
	}
	return j.catalog.Plans[i].Features
}
