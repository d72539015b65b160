//go:build unix

package handover

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/catalog"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/pgkit"
	"github.com/kitshub/kitshub/internal/proof/progress"
	"github.com/kitshub/kitshub/internal/provider/pgcluster"
	"github.com/kitshub/kitshub/internal/tenantdb"
	"github.com/kitshub/kitshub/internal/testkit/pgserver"
)

// bench has what the ways work with.
type bench struct {
	world    *pgkit.World
	provider *pgcluster.Provider
	tenantDB *tenantdb.DB
	admin    *pgx.Conn
	steps    []hub.Step
	template hub.Template
	version  string
	features []string
	next     int
}

// made is a planned database.
type made struct {
	hub.Backend
	hub.Credentials
}

func (r *Result) databaseWork(ctx context.Context, o check.Options, w *pgkit.World) (err error) {
	b, err := newBench(ctx, w, o.Sabotage)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, b.provider.Close(), b.admin.Close(context.WithoutCancel(ctx))) //nolint:contextcheck // the provider closes what is idle, which needs none
	}()
	first, err := b.plan(ctx, "ten_")
	if err != nil {
		return err
	}
	if err := b.provider.Create(ctx, first.Backend, first.Credentials, b.template); err != nil { // builds the template, which is not what is timed
		return err
	}
	rounds := min(max(o.N, fewestRounds), mostRounds)
	bar := progress.New(o.Log, "rounds of database work", rounds)
	defer bar.Close()
	var statements, templates, handovers, sealed []float64
	for i := range rounds {
		if err := writeOut(ctx, w); err != nil {
			return err
		}
		t, err := b.byStatements(ctx, fmt.Sprintf("script%d", i), r)
		if err != nil {
			return fmt.Errorf("by statements: %w", err)
		}
		statements = append(statements, ms(t))
		if err := writeOut(ctx, w); err != nil {
			return err
		}
		if t, err = b.cold(ctx); err != nil {
			return fmt.Errorf("from the template: %w", err)
		}
		templates = append(templates, ms(t))
		if err := writeOut(ctx, w); err != nil {
			return err
		}
		t, all, err := b.handOver(ctx, r)
		if err != nil {
			return fmt.Errorf("from the pool: %w", err)
		}
		handovers, sealed = append(handovers, ms(t)), append(sealed, ms(all))
		bar.Add(1)
	}
	r.StatementMS, r.TemplateMS = check.Median(statements), check.Median(templates)
	r.HandOverMS, r.SealedMS = check.Median(handovers), check.Median(sealed)
	r.Ratio, r.Template, r.Sealed = round(r.StatementMS/r.HandOverMS), round(r.StatementMS/r.TemplateMS), round(r.StatementMS/r.SealedMS)
	return nil
}

func newBench(ctx context.Context, w *pgkit.World, sabotage bool) (*bench, error) {
	cat, err := catalog.Load(os.DirFS(w.Folder))
	if err != nil {
		return nil, err
	}
	pl, ok := cat.Plan(plan)
	if !ok {
		return nil, fmt.Errorf("the catalog has no plan %s", plan)
	}
	b := &bench{world: w, tenantDB: tenantdb.New(catalog.Split), version: cat.Version, features: pl.Features}
	if b.provider, err = pgcluster.New(pgcluster.Config{AdminURL: w.Admin, Installation: "proof"}); err != nil { //nolint:contextcheck // it connects to nothing
		return nil, err
	}
	if b.admin, err = pgx.Connect(ctx, w.Admin); err != nil {
		return nil, err
	}
	if b.steps, err = hub.PlanSteps(cat, pl.Features, hub.Postgres); err != nil {
		return nil, err
	}
	b.template = hub.Template{Key: hub.ContentKey(hub.Postgres, b.steps), Build: b.apply}
	if sabotage {
		b.template.Build = func(ctx context.Context, db *sql.DB) error { return errors.Join(b.apply(ctx, db), loseTable(ctx, db)) }
	}
	return b, nil
}

// apply is what the hub does in a template.
func (b *bench) apply(ctx context.Context, db *sql.DB) error {
	for _, s := range b.steps {
		var err error
		switch {
		case s.InLedger():
			err = b.tenantDB.Apply(ctx, db, hub.Postgres, s)
		case s.Kind == hub.StepCheck:
			err = b.tenantDB.Check(ctx, db, hub.Postgres, s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// loseTable is the planted bug: a table that no other refers to is gone, and the ledger says nothing of it.
func loseTable(ctx context.Context, db *sql.DB) error {
	var name string
	err := db.QueryRowContext(ctx, `SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname NOT LIKE 'kitshub\_%'
		AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.refobjid = c.oid AND d.classid IN ('pg_constraint'::regclass, 'pg_rewrite'::regclass) AND d.deptype = 'n')
		ORDER BY c.oid DESC LIMIT 1`).Scan(&name)
	if err != nil {
		return fmt.Errorf("find a table to lose: %w", err)
	}
	_, err = db.ExecContext(ctx, `DROP TABLE `+name)
	return err
}

func (b *bench) plan(ctx context.Context, prefix string) (made, error) {
	b.next++
	backend, creds, err := b.provider.Plan(ctx, fmt.Sprintf("%sproof%d", prefix, b.next), 1)
	return made{backend, creds}, err
}

// byStatements is the baseline: one statement, one round trip and one commit after the other.
func (b *bench) byStatements(ctx context.Context, name string, r *Result) (time.Duration, error) {
	address, err := pgserver.WithDatabase(b.world.Admin, name)
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	if _, err := b.admin.Exec(ctx, `CREATE DATABASE `+name); err != nil {
		return 0, err
	}
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, s := range b.steps {
		if !s.InLedger() {
			continue
		}
		for _, st := range catalog.Split(s.Source.SQL, hub.Postgres) {
			if _, err := conn.Exec(ctx, st.SQL); err != nil {
				return 0, errors.Join(fmt.Errorf("%s: %w", s.Name, err), conn.Close(ctx))
			}
			n++
		}
	}
	took := time.Since(begun)
	r.Statements = n
	return took, conn.Close(ctx)
}

// cold makes a tenant's database from the template.
func (b *bench) cold(ctx context.Context) (time.Duration, error) {
	x, err := b.plan(ctx, "ten_")
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	if err := b.provider.Create(ctx, x.Backend, x.Credentials, b.template); err != nil {
		return 0, err
	}
	return time.Since(begun), nil
}

// handOver makes a member as the pool does, and hands it over; all is with seal and probe.
func (b *bench) handOver(ctx context.Context, r *Result) (took, all time.Duration, err error) {
	m, err := b.plan(ctx, pgcluster.MemberPrefix)
	if err != nil {
		return 0, 0, err
	}
	if _, err := b.provider.Prepare(ctx, m.Backend, m.Credentials, b.template); err != nil {
		return 0, 0, err
	}
	waiting := hub.Identity{TenantID: m.TenantID, Generation: 1, CatalogVersion: b.version, MAC: "pool"}
	if err := b.asRole(ctx, m, hub.RoleOwner, func(db *sql.DB) error { return b.tenantDB.Identify(ctx, db, hub.Postgres, waiting) }); err != nil {
		return 0, 0, err
	}
	backend, creds, err := b.provider.Adopt(m.Backend, m.Credentials, fmt.Sprintf("ten_handed%d", b.next), 1)
	if err != nil {
		return 0, 0, err
	}
	x, own := made{backend, creds}, hub.Identity{TenantID: backend.TenantID, Generation: 1, CatalogVersion: b.version, MAC: "tenant"}
	begun := time.Now()
	if err := b.provider.HandOver(ctx, x.Backend); err != nil {
		return 0, 0, err
	}
	took = time.Since(begun)
	if err := b.asRole(ctx, x, hub.RoleOwner, func(db *sql.DB) error { return b.tenantDB.Reseal(ctx, db, hub.Postgres, waiting, own) }); err != nil {
		return 0, 0, err
	}
	err = b.asRole(ctx, x, hub.RoleTenant, func(db *sql.DB) error { return b.tenantDB.Probe(ctx, db, hub.Postgres, own, b.steps) })
	if err != nil {
		return 0, 0, err
	}
	all = time.Since(begun)
	wrong, err := b.world.Judge.Tenant(ctx, x.URL, b.features)
	if err != nil {
		return 0, 0, err
	}
	for _, what := range wrong {
		r.Violate("a database that was handed over: %s", what)
	}
	r.Compared++
	return took, all, nil
}

func (b *bench) asRole(ctx context.Context, x made, role hub.Role, f func(*sql.DB) error) error {
	db, err := b.provider.Open(ctx, x.Backend, x.Credentials, role)
	if err != nil {
		return err
	}
	return errors.Join(f(db), db.Close())
}
