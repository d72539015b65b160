package sqlitefile_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/kitshub/kitshub/internal/catalog"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/provider/sqlitefile"
	"github.com/kitshub/kitshub/internal/tenantdb"
)

// world is the enterprise plan of the built-in catalog over a directory on disk. `go test -bench Create -benchtime 50x` prints its figures; the
// program that proves them is cmd/proof (golden-copy).
type world struct {
	p      *sqlitefile.Provider
	tenant *tenantdb.DB
	steps  []hub.Step
	tpl    hub.Template
	next   int
}

func newWorld(b *testing.B) *world {
	b.Helper()
	c, err := catalog.Builtin()
	if err != nil {
		b.Fatal(err)
	}
	plan, ok := c.Plan("enterprise")
	if !ok {
		b.Fatal("there is no enterprise plan")
	}
	steps, err := hub.PlanSteps(c, plan.Features, hub.SQLite)
	if err != nil {
		b.Fatal(err)
	}
	p, err := sqlitefile.New(sqlitefile.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	w := &world{p: p, tenant: tenantdb.New(catalog.Split), steps: steps}
	w.tpl = hub.Template{Key: hub.ContentKey(hub.SQLite, steps), Build: w.apply}
	for _, t := range []hub.Template{w.tpl, {}} { // the golden files are made once, not per tenant
		w.create(b, t)
	}
	return w
}

// apply runs every ledger step.
func (w *world) apply(ctx context.Context, db *sql.DB) error {
	for _, s := range w.steps {
		if !s.InLedger() {
			continue
		}
		if err := w.tenant.Apply(ctx, db, hub.SQLite, s); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) create(b *testing.B, t hub.Template) hub.Backend {
	b.Helper()
	w.next++
	be, c, err := w.p.Plan(b.Context(), fmt.Sprintf("ten_%d", w.next), 1)
	if err == nil {
		err = w.p.Create(b.Context(), be, c, t)
	}
	if err != nil {
		b.Fatal(err)
	}
	return be
}

// finish opens as the owner, runs what makes the tables, writes the identity, and probes as the tenant while the owner's connection is still
// open: as the pipeline does it (hub/provision.go).
func (w *world) finish(b *testing.B, be hub.Backend, run func(context.Context, *sql.DB) error) {
	b.Helper()
	id := hub.Identity{TenantID: be.TenantID, Generation: be.Generation, CatalogVersion: "v", MAC: "m"}
	owner := w.open(b, be, hub.RoleOwner)
	if err := run(b.Context(), owner); err != nil {
		b.Fatal(err)
	}
	if err := w.tenant.Identify(b.Context(), owner, hub.SQLite, id); err != nil {
		b.Fatal(err)
	}
	tenant := w.open(b, be, hub.RoleTenant)
	if err := w.tenant.Probe(b.Context(), tenant, hub.SQLite, id, w.steps); err != nil {
		b.Fatal(err)
	}
	if err := errors.Join(tenant.Close(), owner.Close()); err != nil {
		b.Fatal(err)
	}
}

func (w *world) open(b *testing.B, be hub.Backend, r hub.Role) *sql.DB {
	b.Helper()
	creds, err := w.p.Here(be)
	if err != nil {
		b.Fatal(err)
	}
	db, err := w.p.Open(b.Context(), be, creds, r)
	if err != nil {
		b.Fatal(err)
	}
	return db
}

// The copy alone.
func BenchmarkCreateCopyOnly(b *testing.B) {
	w := newWorld(b)
	for b.Loop() {
		w.create(b, w.tpl)
	}
}

// The statements alone, on an empty database that is open: what the copy replaces.
func BenchmarkCreateStatementsOnly(b *testing.B) {
	w := newWorld(b)
	for b.Loop() {
		b.StopTimer()
		be := w.create(b, hub.Template{})
		db := w.open(b, be, hub.RoleOwner)
		b.StartTimer()
		if err := w.apply(b.Context(), db); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// The whole step by copy: create, identity, probe, with the opening and closing between them.
func BenchmarkCreateGolden(b *testing.B) {
	w := newWorld(b)
	for b.Loop() {
		w.finish(b, w.create(b, w.tpl), func(context.Context, *sql.DB) error { return nil })
	}
}

// The whole step by statements.
func BenchmarkCreateStatements(b *testing.B) {
	w := newWorld(b)
	for b.Loop() {
		w.finish(b, w.create(b, hub.Template{}), w.apply)
	}
}
