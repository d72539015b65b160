package pgcluster

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kitshub/kitshub/internal/catalog"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/tenantdb"
)

// nameOf is a tenant's database.
func (r *rig) nameOf(p *Provider, x planned) string {
	r.Helper()
	name, _, err := p.database(x.Backend)
	if err != nil {
		r.Fatal(err)
	}
	return name
}

// as runs statements on a connection of their own and gives the error.
func (r *rig) as(address, sql string) error {
	r.Helper()
	conn := r.connect(address)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err := conn.Exec(r.Context(), sql)
	return err
}

// A customer who gives a neighbour rights on what is his own keeps the neighbour's login neither from being ready nor from being dropped.
func TestRightsThatANeighbourGave(t *testing.T) {
	t.Parallel() // it waits for the server most of the time
	r := newRig(t)
	p := r.provider()
	x, y := r.create(p, "ten_x", things), r.create(p, "ten_y", things)
	nameY := r.nameOf(p, y)
	if err := r.as(x.URL, fmt.Sprintf(`SELECT lo_create(4711); GRANT SELECT ON LARGE OBJECT 4711 TO %[1]s_r, %[1]s_o;
		ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO %[1]s_r`, nameY)); err != nil {
		t.Fatal(err)
	}
	if err := p.Drop(t.Context(), y.Backend, y.Credentials); err != nil {
		t.Error(err)
	}
	if n := one[int](r, `SELECT count(*) FROM pg_roles WHERE starts_with(rolname, $1)`, nameY); n != 0 {
		t.Errorf("%d logins are left", n)
	}
	if err := r.as(x.URL, `SELECT lo_get(4711)`); err != nil {
		t.Errorf("his own was touched: %v", err)
	}
	if one[bool](r, `SELECT pg_has_role($1, $2, 'MEMBER')`, r.role, r.nameOf(p, x)+runtimeSuffix) {
		t.Error("the hub kept a login that it took for the dropping")
	}
}

// What the hub may not take away it names, with the SQL that does.
func TestRightsThatTheHubMayNotTakeAway(t *testing.T) {
	t.Parallel() // it waits for the server most of the time
	r := newRig(t)
	p := r.provider()
	x := r.create(p, "ten_1", things)
	elsewhere := p.names.prefix + "elsewhere"
	r.su(`CREATE DATABASE ` + elsewhere)
	grant := `SELECT lo_create(4711); GRANT SELECT ON LARGE OBJECT 4711 TO ` + r.nameOf(p, x) + runtimeSuffix
	if err := r.as(with(t, r.super, elsewhere, ""), grant); err != nil {
		t.Fatal(err)
	}
	err := p.Drop(t.Context(), x.Backend, x.Credentials)
	r.wantFault("dropping", err, hub.ClassData, "ROLE_IN_USE")
	mend := `DROP OWNED BY "` + r.nameOf(p, x) + runtimeSuffix + `"`
	if err == nil || !strings.Contains(err.Error(), mend) || !strings.Contains(err.Error(), elsewhere) {
		t.Fatalf("it names neither place nor SQL: %v", err)
	}
	if err := r.as(with(t, r.super, elsewhere, ""), mend); err != nil {
		t.Fatal(err)
	}
	if err := p.Drop(t.Context(), x.Backend, x.Credentials); err != nil {
		t.Error(err)
	}
	if got := r.names(p); len(got) != 2 { // the template, and what is not the hub's
		t.Errorf("left: %v", got)
	}
}

// Where others may make functions, as in the schema public of a server that was upgraded from Postgres 14, one that fits better than the
// server's own would run with the hub's rights.
func TestNothingOfOthersRunsAsTheHub(t *testing.T) {
	t.Parallel() // it waits for the server most of the time
	r := newRig(t)
	open := newNames(r.installation).prefix + "maintenance"
	r.su(`CREATE DATABASE ` + open)
	if err := r.as(with(t, r.super, open, ""), `
		GRANT CREATE ON SCHEMA public TO PUBLIC;
		CREATE FUNCTION public.trap() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'it ran as %', current_user; END $$;
		CREATE FUNCTION public.starts_with(name, text) RETURNS boolean LANGUAGE sql AS 'SELECT public.trap() IS NULL';
		CREATE FUNCTION public.shobj_description(oid, text) RETURNS text LANGUAGE sql AS 'SELECT public.trap()';
		CREATE FUNCTION public.pg_database_size(text) RETURNS bigint LANGUAGE sql AS 'SELECT length(public.trap())::bigint';
		CREATE FUNCTION public.pg_has_role(name, oid, text) RETURNS boolean LANGUAGE sql AS 'SELECT public.trap() IS NULL'`); err != nil {
		t.Fatal(err)
	}
	p := r.provider(func(c *Config) { c.MaintenanceDB = open })
	x := r.create(p, "ten_1", things)
	_, listing := p.List(t.Context())
	_, surveying := p.Survey(t.Context())
	_, sizing := p.Size(t.Context(), x.Backend, x.Credentials)
	_, examining := p.Doctor(t.Context())
	if err := errors.Join(listing, surveying, sizing, examining, p.Drop(t.Context(), x.Backend, x.Credentials)); err != nil {
		t.Error(err)
	}
}

// A door that stands open is told of whatever the database is called, one of ours most of all, and the SQL that shuts it shuts nobody out who works.
func TestDoctorTellsOfOpenDoors(t *testing.T) {
	t.Parallel() // it waits for the server most of the time
	r := newRig(t)
	home := newNames(r.installation).prefix + "maintenance"
	r.su(`CREATE DATABASE ` + home)
	p := r.provider(func(c *Config) { c.MaintenanceDB = home })
	x := r.create(p, "ten_1", things)
	other := "khan_" + r.installation
	r.su(`CREATE DATABASE ` + other)
	defer r.su(`DROP DATABASE ` + other)
	for _, name := range []string{other, r.nameOf(p, x), home} {
		r.su(`GRANT CONNECT ON DATABASE ` + name + ` TO PUBLIC`)
		tells := func() bool {
			p.shedIdle()
			found, err := p.Doctor(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				if strings.Contains(f.SQL, `REVOKE CONNECT ON DATABASE "`+name+`" FROM PUBLIC;`) {
					r.su(f.SQL)
					return true
				}
			}
			return false
		}
		if !tells() || tells() {
			t.Errorf("the door of %s is not told of once, and mended by the SQL", name)
		}
	}
	r.wantThings(p, x, 1)
}

// What a catalog's text does while a template is built it does with the rights of that database's owner: there is no way back to the hub's own.
func TestATemplateIsBuiltWithoutTheHubsRights(t *testing.T) {
	t.Parallel() // it waits for the server most of the time
	r := newRig(t)
	p := r.provider()
	x := r.create(p, "ten_1", things)
	tpl := hub.Template{Key: "greedy", Build: func(ctx context.Context, db *sql.DB) error {
		db.SetMaxOpenConns(1)
		for _, back := range []string{`RESET ROLE`, `SET ROLE NONE`, `SET SESSION AUTHORIZATION DEFAULT`} {
			var may bool
			if _, err := db.ExecContext(ctx, back); err != nil {
				return err
			}
			if err := db.QueryRowContext(ctx, `SELECT rolcreaterole OR pg_has_role($1, 'MEMBER') OR has_database_privilege($2, 'CONNECT')
				FROM pg_roles WHERE rolname = current_user`, r.role, r.nameOf(p, x)).Scan(&may); err != nil || may {
				t.Errorf("after %s the session has the hub's rights: %v, %v", back, may, err)
			}
		}
		if _, err := db.ExecContext(ctx, `RESET ROLE`); err != nil {
			return err
		}
		return things.Build(ctx, db)
	}}
	y := r.create(p, "ten_2", tpl)
	r.wantThings(p, y, 1)
	own := hub.Template{Key: "own", Build: func(ctx context.Context, db *sql.DB) error { // of no use: the tenants' owner could not change it
		_, err := db.ExecContext(ctx, `SET ROLE NONE; CREATE TABLE mine (n integer)`)
		return err
	}}
	if err := p.with(t.Context(), "building", func(a *admin) error { return a.build(t.Context(), own, p.names.template("own")) }); err == nil {
		t.Error("a template was taken whose tables belong to the login that built it")
	} else {
		r.wantFault("building", err, hub.ClassCatalog, codeDependents)
	}
	if got := r.names(p); len(got) != 2*3+2 {
		t.Errorf("on the cluster: %v", got)
	}
}

// What others hold the hub waits for half a second at a time, so that who comes after it is not held up; when it is free the work goes through.
func TestDDLStepsBackFromLocks(t *testing.T) {
	t.Parallel() // it waits for the server most of the time
	r := newRig(t)
	p := r.provider()
	x := r.create(p, "ten_1", things)
	watcher := r.connect(r.super) // one for all looks: to connect takes longer on a busy machine than a wait lasts
	defer func() { _ = watcher.Close(context.Background()) }()
	for what, c := range map[string]struct {
		holds string
		act   func() error
	}{
		"quarantine": {`ALTER ROLE ` + r.nameOf(p, x) + runtimeSuffix + ` CONNECTION LIMIT 7`, func() error { return p.Quarantine(t.Context(), x.Backend) }},
		"shared roles": {`CREATE ROLE ` + newNames(r.installation+"x").owner(), func() error {
			return r.provider(func(c *Config) { c.Installation += "x" }).ensureCluster(t.Context())
		}},
	} {
		holder := r.connect(r.super)
		if _, err := holder.Exec(t.Context(), `BEGIN; `+c.holds); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- c.act() }()
		for waits := map[string]bool{}; len(waits) < 2; { // by when they began: with the second it has stepped back once
			select {
			case err := <-done:
				t.Fatalf("%s: it ended before it was seen to wait twice: %v", what, err)
			default:
			}
			var since string
			if err := watcher.QueryRow(t.Context(), `SELECT coalesce(max(waitstart)::text, '') FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND usename = $1`, r.role).Scan(&since); err != nil {
				t.Fatal(err)
			}
			if since != "" {
				waits[since] = true
			}
		}
		if _, err := holder.Exec(t.Context(), `ROLLBACK`); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Errorf("%s: %v", what, err)
		}
		_ = holder.Close(t.Context())
	}
	n := newNames(r.installation + "x")
	r.su(`DROP ROLE ` + n.owner() + `, ` + n.app())
}

// A quarantine that was killed in the middle leaves no session of a login that is shut.
func TestQuarantineAfterAKillAtEveryStatement(t *testing.T) {
	t.Parallel() // it waits for the server most of the time
	r := newRig(t)
	p := r.provider()
	x := r.create(p, "ten_1", things)
	session := r.connect(x.URL)
	r.untilAlive(func(p *Provider) error { return p.Quarantine(t.Context(), x.Backend) }, func(n int) {
		if one[bool](r, `SELECT rolcanlogin FROM pg_roles WHERE rolname = $1`, r.nameOf(p, x)+runtimeSuffix) {
			return
		}
		if session.Ping(t.Context()) == nil {
			t.Errorf("after a kill at %d the login is shut and its session lives", n)
		}
		if err := p.Release(t.Context(), x.Backend, x.Credentials); err != nil {
			t.Fatal(err)
		}
		session = r.connect(x.URL)
	})
	_ = session.Close(t.Context())
}

// With the smallest budget there is, a template is built whose scripts need connections of their own: outside of a transaction, and to find the
// line of a statement that fails.
func TestTheSmallestBudgetIsEnough(t *testing.T) {
	t.Parallel() // it waits for the server most of the time
	r := newRig(t)
	p := r.provider(func(c *Config) { c.MaxConns = minBudget })
	tenants := tenantdb.New(catalog.Split)
	step := func(name, text string) hub.Step {
		return hub.Step{Name: name, Kind: hub.StepMigrate, Source: hub.Source{
			File: name + ".sql", SQL: text, Checksum: name, NoTransaction: strings.Contains(text, "CONCURRENTLY"),
		}}
	}
	steps := []hub.Step{
		step("1", `CREATE TABLE things (id integer)`), step("2", `CREATE INDEX CONCURRENTLY IF NOT EXISTS things_id ON things (id)`), step("3", `INSERT INTO things VALUES (1)`),
	}
	x := r.plan(p, MemberPrefix+"1")
	if _, err := p.Prepare(t.Context(), x.Backend, x.Credentials, templateOf(tenants, steps)); err != nil { // of half the budget
		t.Fatal(err)
	}
	r.wantThings(p, x, 1)
	broken := append(slices.Clone(steps), step("4", "SELECT 1;\nSELECT nothing"))
	ctx := For(t.Context(), Refill)
	if err := p.with(ctx, "building", func(a *admin) error { return a.build(ctx, templateOf(tenants, broken), p.names.template("broken")) }); err == nil {
		t.Error("a broken template was built")
	} else {
		r.wantFault("building", err, hub.ClassCatalog, "42703")
	}
}
