package pgcluster

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/testkit/pgserver"
)

// counting gives a template that counts its builds.
func counting(key string, builds *atomic.Int32) hub.Template {
	return hub.Template{Key: key, Build: func(ctx context.Context, db *sql.DB) error {
		builds.Add(1)
		return things.Build(ctx, db)
	}}
}

// Two hubs that start at once on an empty cluster: shared roles and template are made once, and every tenant gets its own.
func TestTwoHubsAtOnce(t *testing.T) {
	r := newRig(t)
	var builds atomic.Int32
	tpl := counting("k", &builds)
	hubs := []*Provider{r.provider(), r.provider()}
	var all []planned
	for i := range 6 {
		all = append(all, r.plan(hubs[0], fmt.Sprintf("ten_%d", i/2))) // each tenant twice
		if i%2 == 1 {
			all[i] = all[i-1]
		}
	}
	var wg sync.WaitGroup
	for i, x := range all {
		wg.Go(func() {
			if err := hubs[i%2].Create(t.Context(), x.Backend, x.Credentials, tpl); err != nil {
				t.Errorf("creating %s: %v", x.TenantID, err)
			}
		})
	}
	wg.Wait()
	if n := builds.Load(); n != 1 {
		t.Errorf("the template was built %d times", n)
	}
	for _, x := range all {
		r.wantThings(hubs[1], x, 1)
	}
	if got := r.names(hubs[0]); len(got) != 3*3+1 {
		t.Errorf("on the cluster: %v", got)
	}
}

func TestATemplateWithAnOpenSession(t *testing.T) {
	t.Parallel() // it waits for the server most of the time
	r := newRig(t)
	p := r.provider()
	r.create(p, "ten_1", things)
	name := p.names.template("things")
	// Somebody with the hub's own login has opened it by hand: shown out.
	conn := r.intruder(name, r.admin)
	r.create(p, "ten_2", things)
	if conn.Ping(t.Context()) == nil {
		t.Error("the session in the template lives")
	}
	// A superuser is not ours to show out.
	r.intruder(name, r.super)
	x := r.plan(p, "ten_3")
	begun := time.Now()
	err := p.Create(t.Context(), x.Backend, x.Credentials, things)
	r.wantFault("copying a template in use", err, hub.ClassNetwork, codeInUse)
	if took := time.Since(begun); took > 30*time.Second || !strings.Contains(err.Error(), name) {
		t.Errorf("after %v: %v", took, err)
	}
	r.su(`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '` + name + `'`)
	if err := p.Create(t.Context(), x.Backend, x.Credentials, things); err != nil {
		t.Fatal(err)
	}
	r.wantThings(p, x, 1)
}

func (r *rig) intruder(database, address string) *pgx.Conn {
	r.Helper()
	r.su(`ALTER DATABASE ` + quote(database) + ` ALLOW_CONNECTIONS true`)
	conn := r.connect(with(r.T, address, database, ""))
	r.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func TestForeignThingsAreRefusedAndLeftAlone(t *testing.T) {
	r := newRig(t)
	p := r.provider()
	r.create(p, "ten_first", things)
	x := r.plan(p, "ten_1")
	name, _, _ := p.database(x.Backend)
	for _, c := range []struct{ what, make, clean, code string }{
		{"a database without a comment", `CREATE DATABASE $`, `DROP DATABASE $`, "FOREIGN_DATABASE"},
		{"a database with a comment", `CREATE DATABASE $; COMMENT ON DATABASE $ IS 'accounts 2019'`, `DROP DATABASE $`, "FOREIGN_DATABASE"},
		{"a closed database of another's", `CREATE DATABASE $ ALLOW_CONNECTIONS false`, `DROP DATABASE $`, "FOREIGN_DATABASE"},
		{"another tenant's", `CREATE DATABASE $; COMMENT ON DATABASE $ IS 'kitshub:ten_2:1@` + r.installation + `'`, `DROP DATABASE $`, "FOREIGN_DATABASE"},
		{"another generation's", `CREATE DATABASE $; COMMENT ON DATABASE $ IS 'kitshub:ten_1:2@` + r.installation + `'`, `DROP DATABASE $`, "FOREIGN_DATABASE"},
		{"another installation's", `CREATE DATABASE $; COMMENT ON DATABASE $ IS 'kitshub:ten_1:1@other'`, `DROP DATABASE $`, "FOREIGN_DATABASE"},
		{"an owner role", `CREATE ROLE $_o`, `DROP ROLE $_o`, "FOREIGN_ROLE"},
		{"a runtime role", `CREATE ROLE $_r; COMMENT ON ROLE $_r IS 'reports'`, `DROP ROLE $_r`, "FOREIGN_ROLE"},
	} {
		for _, s := range strings.Split(strings.ReplaceAll(c.make, "$", name), ";") {
			r.su(s)
		}
		r.wantFault(c.what+": Create", p.Create(t.Context(), x.Backend, x.Credentials, things), hub.ClassData, c.code)
		if c.code == "FOREIGN_DATABASE" {
			r.wantFault(c.what+": Drop", p.Drop(t.Context(), x.Backend, x.Credentials), hub.ClassData, c.code)
			_, err := p.Size(t.Context(), x.Backend, x.Credentials)
			r.wantFault(c.what+": Size", err, hub.ClassData, c.code)
		} else if err := p.Drop(t.Context(), x.Backend, x.Credentials); err != nil { // nothing of the tenant's is there
			t.Errorf("%s: %v", c.what, err)
		}
		r.su(strings.ReplaceAll(c.clean, "$", name)) // fails if it was touched
	}
	if err := p.Create(t.Context(), x.Backend, x.Credentials, things); err != nil {
		t.Fatal(err)
	}
	builder := p.names.building("other") + ownerSuffix
	r.su(`CREATE ROLE ` + builder)
	y := r.plan(p, "ten_2")
	r.wantFault("a builder's login: Create", p.Create(t.Context(), y.Backend, y.Credentials, hub.Template{Key: "other", Build: things.Build}), hub.ClassData, "FOREIGN_ROLE")
	r.su(`DROP ROLE ` + builder)
}

func TestPool(t *testing.T) {
	r := newRig(t)
	p := r.provider()
	m := r.plan(p, MemberPrefix+"1")
	for _, want := range []bool{true, false} { // repeated
		copied, err := p.Prepare(t.Context(), m.Backend, m.Credentials, things)
		if err != nil || copied != want {
			t.Fatalf("copied is %t, not %t; %v", copied, want, err)
		}
	}
	adopt := func(id string) planned {
		t.Helper()
		b, c, err := p.Adopt(m.Backend, m.Credentials, id, 1)
		if err != nil {
			t.Fatal(err)
		}
		return planned{b, c}
	}
	x, thief := adopt("ten_1"), adopt("ten_2")
	if x.Env["KITSHUB_TENANT"] != "ten_1" || m.Env["KITSHUB_TENANT"] == "ten_1" || x.URL != m.URL {
		t.Errorf("adopted as %+v from %+v", x, m)
	}
	for range 2 {
		if err := p.HandOver(t.Context(), x.Backend); err != nil {
			t.Fatal(err)
		}
	}
	r.wantThings(p, x, 1)
	r.wantFault("handing over twice", p.HandOver(t.Context(), thief.Backend), hub.ClassData, "FOREIGN_DATABASE")
	r.wantFault("creating at another's place", p.Create(t.Context(), thief.Backend, thief.Credentials, things), hub.ClassData, "FOREIGN_DATABASE")
	r.wantFault("dropping another's", p.Drop(t.Context(), thief.Backend, thief.Credentials), hub.ClassData, "FOREIGN_DATABASE")
	r.wantFault("discarding what was handed over", p.Discard(t.Context(), m.Backend, m.Credentials), hub.ClassData, "FOREIGN_DATABASE")
	_, err := p.Prepare(t.Context(), m.Backend, m.Credentials, things)
	r.wantFault("preparing what was handed over", err, hub.ClassData, "FOREIGN_DATABASE")
	for _, bad := range []func() error{
		func() error { _, _, err := p.Adopt(x.Backend, x.Credentials, "ten_3", 1); return err },
		func() error { _, _, err := p.Adopt(m.Backend, m.Credentials, MemberPrefix+"2", 1); return err },
		func() error { _, err := p.Prepare(t.Context(), x.Backend, x.Credentials, things); return err },
		func() error { return p.Discard(t.Context(), x.Backend, x.Credentials) },
		func() error { return p.HandOver(t.Context(), m.Backend) },
	} {
		r.wantFault("what is no member", bad(), hub.ClassBug, "")
	}
	if size, err := p.Size(t.Context(), x.Backend, x.Credentials); err != nil || size < 1<<20 {
		t.Errorf("size %d, %v", size, err)
	}
	if err := p.Drop(t.Context(), x.Backend, x.Credentials); err != nil {
		t.Fatal(err)
	}
	r.wantFault("handing over what is gone", p.HandOver(t.Context(), x.Backend), hub.ClassData, codeNoDatabase)
	if got := r.names(p); !slices.Equal(got, []string{"template t_things_f1"}) {
		t.Errorf("left: %v", got)
	}
}

// Many tenants reach for one member: one gets it.
func TestOneMemberForMany(t *testing.T) {
	r := newRig(t)
	hubs := []*Provider{r.provider(), r.provider()}
	m := r.create(hubs[0], MemberPrefix+"1", things)
	var got atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		b, _, err := hubs[0].Adopt(m.Backend, m.Credentials, fmt.Sprintf("ten_%d", i), 1)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if err := hubs[i%2].HandOver(t.Context(), b); err == nil {
				got.Add(1)
			} else {
				r.wantFault("coming too late", err, hub.ClassData, "FOREIGN_DATABASE")
			}
		})
	}
	wg.Wait()
	if n := got.Load(); n != 1 {
		t.Errorf("%d tenants got the same database", n)
	}
}

func TestTemplatesAreLimitedAndDropped(t *testing.T) {
	r := newRig(t)
	now := time.Now()
	p := r.provider(func(c *Config) { c.MaxTemplates = 2 })
	p.now = func() time.Time { return now }
	use := func(key string) {
		t.Helper()
		now = now.Add(time.Hour)
		if _, err := p.templateFor(t.Context(), hub.Template{Key: key, Build: things.Build}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.ensureCluster(t.Context()); err != nil {
		t.Fatal(err)
	}
	use("a")
	use("b")
	use("a")
	use("c") // b was used least recently
	if got := r.names(p); !slices.Equal(got, []string{"template t_a_f1", "template t_c_f1"}) {
		t.Errorf("kept %v", got)
	}
	dropped, err := p.DropUnusedTemplates(t.Context(), []string{"c"})
	if err != nil || !slices.Equal(dropped, []string{"a"}) {
		t.Errorf("dropped %v, %v", dropped, err)
	}
	r.create(p, "ten_1", hub.Template{Key: "a", Build: things.Build}) // built again
	other := r.provider()
	if _, err := other.DropUnusedTemplates(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	x := r.create(p, "ten_2", hub.Template{Key: "a", Build: things.Build}) // p does not know that it is gone
	r.wantThings(p, x, 1)
}

// A server that goes away in the middle is passing trouble, and the same provider works again when it is back.
func TestAClusterThatGoesAndComesBack(t *testing.T) {
	t.Parallel() // it waits for the server most of the time
	s, err := pgserver.Start(t.Context(), pgserver.Options{Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	r := rigOn(t, s.URL)
	p := r.provider()
	x := r.create(p, "ten_1", things)
	y := r.plan(p, "ten_2")
	if err := s.Halt(pgserver.Immediate); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		err := p.Create(t.Context(), y.Backend, y.Credentials, things)
		var step *hub.StepError
		if !errors.As(err, &step) || step.Class != hub.ClassNetwork {
			t.Errorf("while it is gone: %v", err)
		}
		if _, err := p.Open(t.Context(), x.Backend, x.Credentials, hub.RoleOwner); err == nil {
			t.Error("opened on a server that is gone")
		}
	}
	if err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Create(t.Context(), y.Backend, y.Credentials, things); err != nil {
		t.Fatal(err)
	}
	r.wantThings(p, x, 1)
	r.wantThings(p, y, 1)
}

// A wait for a lock that times out in the instant in which the lock is granted fails and yet leaves the lock with the session; were it not
// given back, everybody else would wait for a connection that sits idle in the pool.
func TestNoLockStaysBehind(t *testing.T) {
	r := newRig(t)
	hubs := []*Provider{r.provider(), r.provider()}
	for _, p := range hubs {
		p.adminConfig.RuntimeParams["lock_timeout"] = "1" // ms, so that it happens often
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 60 {
				p := hubs[i%2]
				err := p.with(t.Context(), "locking", func(a *admin) error {
					return a.locked(t.Context(), "one", func() error {
						_, err := a.conn.Exec(t.Context(), `SELECT pg_sleep(0.0007)`)
						return err
					})
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	n := one[int](r, `SELECT count(*) FROM pg_locks l JOIN pg_stat_activity s USING (pid) WHERE locktype = 'advisory' AND usename = $1`, r.role)
	if n != 0 {
		t.Errorf("%d locks are held by connections that nobody uses", n)
	}
}

// A template whose catalog is broken is tried once in a while and not for each tenant; all of them start empty.
func TestABrokenTemplateIsNotBuiltForEveryTenant(t *testing.T) {
	r := newRig(t)
	p := r.provider()
	var builds atomic.Int32
	tpl := hub.Template{Key: "broken", Build: func(context.Context, *sql.DB) error {
		builds.Add(1)
		return &hub.StepError{Class: hub.ClassCatalog, File: "0001.sql", Line: 1, Err: errors.New("no")}
	}}
	for i := range 3 {
		x := r.create(p, fmt.Sprintf("ten_%d", i), tpl)
		var tables int
		err := r.open(p, x, hub.RoleOwner).QueryRowContext(t.Context(), `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`).Scan(&tables)
		if err != nil || tables != 0 {
			t.Errorf("%d tables, %v", tables, err)
		}
	}
	m := r.plan(p, MemberPrefix+"1")
	if copied, err := p.Prepare(t.Context(), m.Backend, m.Credentials, tpl); err != nil || copied {
		t.Errorf("an empty database counts as a copy of the template: %t, %v", copied, err)
	}
	if n := builds.Load(); n != 1 {
		t.Errorf("built %d times", n)
	}
	p.now = func() time.Time { return time.Now().Add(brokenFor + time.Second) }
	r.create(p, "ten_later", tpl)
	if n := builds.Load(); n != 2 {
		t.Errorf("built %d times after a while", n)
	}
}

// A wall that fell is seen from both sides, whoever took it down.
func TestGuarded(t *testing.T) {
	r := newRig(t)
	p := r.provider()
	x, y := r.create(p, "ten_x", hub.Template{}), r.create(p, "ten_y", hub.Template{})
	guarded := func(made planned) error {
		return p.Guarded(t.Context(), r.open(p, made, hub.RoleTenant), made.Backend)
	}
	name := func(made planned) string { return quote(strings.TrimPrefix(made.Backend.Place, p.Cluster()+"/")) }
	if err := errors.Join(guarded(x), guarded(y)); err != nil {
		t.Fatal(err)
	}
	for _, grant := range []struct{ to, x, y string }{
		{"PUBLIC", "PUBLIC may connect", "may connect to kh"},
		{quote(strings.Trim(name(y), `"`) + runtimeSuffix), "_r may connect", "may connect to kh"},
		{quote(p.names.app()), "_app may connect", "may connect to kh"},
	} {
		r.su(`GRANT CONNECT ON DATABASE ` + name(x) + ` TO ` + grant.to)
		for made, want := range map[*planned]string{&x: grant.x, &y: grant.y} {
			var step *hub.StepError
			if err := guarded(*made); !errors.As(err, &step) || step.Code != "NOT_ISOLATED" || !strings.Contains(err.Error(), want) {
				t.Errorf("granted to %s: got %v, want %q", grant.to, err, want)
			}
		}
		r.su(`REVOKE CONNECT ON DATABASE ` + name(x) + ` FROM ` + grant.to)
		if err := errors.Join(guarded(x), guarded(y)); err != nil {
			t.Errorf("after the revoke: %v", err)
		}
	}
}
