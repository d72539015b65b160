package pgcluster

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/catalog"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/tenantdb"
	"github.com/kitshub/kitshub/internal/testkit/pgserver"
)

// field is the enterprise plan of the built-in catalog on a server that syncs what it commits. `go test -bench . -run '^$' -benchtime 20x`
// prints the figures; the program that proves them is cmd/proof (handover).
type field struct {
	*testing.B
	p     *Provider
	super string
	steps []hub.Step
	tpl   hub.Template
	next  int
}

func newField(b *testing.B) *field {
	b.Helper()
	s, err := pgserver.Start(b.Context(), pgserver.Options{Durable: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Stop() })
	conn, err := pgx.Connect(b.Context(), s.URL)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := conn.Exec(b.Context(), `CREATE ROLE hubadmin LOGIN CREATEDB CREATEROLE PASSWORD 'secret'`); err != nil {
		b.Fatal(err)
	}
	_ = conn.Close(b.Context())
	address := s.URL[:strings.Index(s.URL, "//")+2] + "hubadmin:secret" + s.URL[strings.Index(s.URL, "@"):]
	p, err := New(Config{AdminURL: address})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.Close() })
	steps := enterprise(b)
	return &field{B: b, p: p, super: s.URL, steps: steps, tpl: templateOf(tenantdb.New(catalog.Split), steps)}
}

func (f *field) plan(prefix string) planned {
	f.Helper()
	f.next++
	b, c, err := f.p.Plan(f.Context(), fmt.Sprintf("%s%d", prefix, f.next), 1)
	if err != nil {
		f.Fatal(err)
	}
	return planned{b, c}
}

func (f *field) create(x planned, t hub.Template) {
	f.Helper()
	if err := f.p.Create(f.Context(), x.Backend, x.Credentials, t); err != nil {
		f.Fatal(err)
	}
}

func (f *field) drop(x planned) { // so that the disk is not filled
	f.Helper()
	f.StopTimer()
	if err := f.p.Drop(f.Context(), x.Backend, x.Credentials); err != nil {
		f.Fatal(err)
	}
	f.StartTimer()
}

func (f *field) open(x planned, r hub.Role) *sql.DB {
	f.Helper()
	db, err := f.p.Open(f.Context(), x.Backend, x.Credentials, r)
	if err != nil {
		f.Fatal(err)
	}
	return db
}

// What people do by script: CREATE DATABASE, then every statement by itself.
func BenchmarkStatements(b *testing.B) {
	f := newField(b)
	f.create(f.plan("ten_"), hub.Template{})
	for b.Loop() {
		x := f.plan("ten_")
		f.create(x, hub.Template{})
		db := f.open(x, hub.RoleOwner)
		for _, s := range f.steps {
			if s.InLedger() {
				for _, st := range catalog.Split(s.Source.SQL, hub.Postgres) {
					if _, err := db.ExecContext(b.Context(), st.SQL); err != nil {
						b.Fatal(err)
					}
				}
			}
		}
		_ = db.Close()
		f.drop(x)
	}
}

// From the template: the whole of Create.
func BenchmarkTemplate(b *testing.B) {
	f := newField(b)
	f.create(f.plan("ten_"), f.tpl)
	for b.Loop() {
		x := f.plan("ten_")
		f.create(x, f.tpl)
		f.drop(x)
	}
}

// CREATE DATABASE … TEMPLATE by itself, as the floor of the one above.
func BenchmarkRawTemplate(b *testing.B) {
	f := newField(b)
	f.create(f.plan("ten_"), f.tpl)
	source := f.p.names.template(f.tpl.Key)
	conn, err := pgx.ConnectConfig(b.Context(), f.p.adminConfig.Copy())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for b.Loop() {
		if _, err := conn.Exec(b.Context(), `CREATE DATABASE raw TEMPLATE `+quote(source)+` STRATEGY wal_log`); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if _, err := conn.Exec(b.Context(), `DROP DATABASE raw`); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// From the pool: the hand-over's own work.
func BenchmarkHandOver(b *testing.B) {
	f := newField(b)
	f.create(f.plan("ten_"), f.tpl)
	for b.Loop() {
		b.StopTimer()
		m := f.plan(MemberPrefix)
		f.create(m, f.tpl)
		be, c, err := f.p.Adopt(m.Backend, m.Credentials, fmt.Sprintf("ten_%d", f.next), 1)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := f.p.HandOver(b.Context(), be); err != nil {
			b.Fatal(err)
		}
		f.drop(planned{be, c})
	}
}

// From the pool with what the pipeline does beside it: hand-over, identity as the owner, probe as the tenant, on new connections.
func BenchmarkHandOverSealedAndProbed(b *testing.B) {
	f := newField(b)
	f.create(f.plan("ten_"), f.tpl)
	tenants := tenantdb.New(catalog.Split)
	for b.Loop() {
		b.StopTimer()
		m := f.plan(MemberPrefix)
		f.create(m, f.tpl)
		be, c, err := f.p.Adopt(m.Backend, m.Credentials, fmt.Sprintf("ten_%d", f.next), 1)
		if err != nil {
			b.Fatal(err)
		}
		x, id := planned{be, c}, hub.Identity{TenantID: be.TenantID, Generation: 1, CatalogVersion: "v", MAC: "m"}
		b.StartTimer()
		f.create(x, f.tpl)
		owner := f.open(x, hub.RoleOwner)
		if err := tenants.Identify(b.Context(), owner, hub.Postgres, id); err != nil {
			b.Fatal(err)
		}
		_ = owner.Close()
		tenant := f.open(x, hub.RoleTenant)
		if err := tenants.Probe(b.Context(), tenant, hub.Postgres, id, f.steps); err != nil {
			b.Fatal(err)
		}
		_ = tenant.Close()
		f.drop(x)
	}
}

// BenchmarkRefill makes members four at a time, and in turn as many raw copies; "of-raw" is what the promise of 60 % is about.
func BenchmarkRefill(b *testing.B) {
	f := newField(b)
	f.create(f.plan("ten_"), f.tpl)
	source := f.p.names.template(f.tpl.Key)
	const each = 4
	var raw, made time.Duration
	timed := func(into *time.Duration, act func(i int) error) {
		var wg sync.WaitGroup
		begun := time.Now()
		for i := range each {
			wg.Go(func() {
				if err := act(i); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
		*into += time.Since(begun)
	}
	conns := make([]*pgx.Conn, each)
	for i := range conns {
		var err error
		if conns[i], err = pgx.ConnectConfig(b.Context(), f.p.adminConfig.Copy()); err != nil {
			b.Fatal(err)
		}
		defer func() { _ = conns[i].Close(context.Background()) }()
	}
	for b.Loop() {
		members := make([]planned, each)
		for i := range members {
			members[i] = f.plan(MemberPrefix)
		}
		timed(&raw, func(i int) error {
			_, err := conns[i].Exec(b.Context(), fmt.Sprintf(`CREATE DATABASE raw%d TEMPLATE %s STRATEGY wal_log`, i, quote(source)))
			return err
		})
		timed(&made, func(i int) error {
			_, err := f.p.Prepare(b.Context(), members[i].Backend, members[i].Credentials, f.tpl)
			return err
		})
		for i, m := range members {
			if _, err := conns[i].Exec(b.Context(), fmt.Sprintf(`DROP DATABASE raw%d`, i)); err != nil {
				b.Fatal(err)
			}
			f.drop(m)
		}
	}
	b.ReportMetric(raw.Seconds()/made.Seconds(), "of-raw")
	b.ReportMetric(float64(b.N*each)/made.Minutes(), "members/min")
}
