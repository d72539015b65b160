package pgcluster

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/hub"
)

// What List shows is enough to tell everything apart and to remove what belongs to nobody.
func TestListAndRemove(t *testing.T) {
	r := newRig(t)
	p := r.provider()
	x := r.create(p, "ten_1", things)
	m := r.create(p, MemberPrefix+"1", things)
	half := p.names.database("ten_half", 1)
	conn := r.connect(r.admin)
	defer func() { _ = conn.Close(context.Background()) }()
	for _, sql := range []string{
		`CREATE DATABASE ` + half + ` ALLOW_CONNECTIONS false`,
		`CREATE ROLE ` + p.names.database("ten_roles", 1) + `_o`,
		`COMMENT ON ROLE ` + p.names.database("ten_roles", 1) + `_o IS ` + literal(Marker{Kind: MarkRole, ID: p.names.database("ten_roles", 1)}.text(p.names.tag)),
		`CREATE DATABASE ` + p.names.building("k") + ` ALLOW_CONNECTIONS false`,
		`CREATE ROLE ` + p.names.building("gone") + `_o`, // of a template whose database went, and whose dropper died then
		`COMMENT ON ROLE ` + p.names.building("gone") + `_o IS ` + literal(Marker{Kind: MarkRole, ID: p.names.building("gone")}.text(p.names.tag)),
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	found, err := p.Survey(t.Context())
	if err != nil || !slices.ContainsFunc(found.Found, func(f hub.Found) bool { return f.Kind == hub.FoundBuild && f.Name == p.names.building("gone")+"_o" }) {
		t.Errorf("a login of a template in the making is not found: %v, %+v", err, found)
	}
	seen := map[string]hub.Backend{}
	for _, i := range r.list(p) {
		b, ok := i.Backend()
		switch {
		case ok:
			seen[i.Name] = b
		case i.Marker.Kind == MarkNone || strings.HasSuffix(i.Name, p.names.database("ten_roles", 1)+"_o") || i.Name == p.names.building("gone")+"_o":
			if err := p.Remove(t.Context(), i); err != nil {
				t.Errorf("removing %+v: %v", i, err)
			}
		case i.Marker.Kind == MarkRole || i.Marker.Kind == MarkTemplate || i.Marker.Kind == MarkCluster:
			if err := p.Remove(t.Context(), i); err == nil {
				t.Errorf("removed %+v, which is in use", i)
			}
		}
	}
	nameX, _, _ := p.database(x.Backend)
	nameM, _, _ := p.database(m.Backend)
	if len(seen) != 2 || seen[nameX] != x.Backend || seen[nameM] != m.Backend {
		t.Errorf("List shows %v", seen)
	}
	if got := r.names(p); len(got) != 2*3+1 {
		t.Errorf("left: %v", got)
	}
	r.wantThings(p, x, 1)
	r.wantThings(p, m, 1)
	other := rigOn(t, r.super) // another hub on the same cluster sees none of it
	if got := other.names(other.provider()); len(got) != 0 {
		t.Errorf("another installation sees %v", got)
	}
}

func TestQuarantine(t *testing.T) {
	r := newRig(t)
	p := r.provider()
	x := r.create(p, "ten_1", things)
	session := r.connect(x.URL)
	if err := p.Quarantine(t.Context(), x.Backend); err != nil {
		t.Fatal(err)
	}
	if session.Ping(t.Context()) == nil {
		t.Error("a session lives on")
	}
	if conn, err := pgx.Connect(t.Context(), x.URL); err == nil {
		_ = conn.Close(t.Context())
		t.Error("its program still gets in")
	}
	if _, err := p.Size(t.Context(), x.Backend, x.Credentials); err != nil {
		t.Error(err)
	}
	if err := p.Create(t.Context(), x.Backend, x.Credentials, things); err != nil { // a step repeated late opens nothing
		t.Error(err)
	}
	_, err := p.Open(t.Context(), x.Backend, x.Credentials, hub.RoleTenant)
	r.wantFault("logging in while shut out", err, hub.ClassAuth, codeAuth)
	if err := p.Release(t.Context(), x.Backend, x.Credentials); err != nil {
		t.Fatal(err)
	}
	r.wantThings(p, x, 1)
}

// A login that is not there needs no shutting; the other one is shut all the same.
func TestQuarantineWithoutLogins(t *testing.T) {
	r := newRig(t)
	p := r.provider()
	x := r.create(p, "ten_1", things)
	name, _, _ := p.database(x.Backend)
	r.su(`ALTER ROLE ` + name + ownerSuffix + ` RENAME TO ` + name + `_away`)
	if err := p.Quarantine(t.Context(), x.Backend); err != nil {
		t.Fatal(err)
	}
	if conn, err := pgx.Connect(t.Context(), x.URL); err == nil {
		_ = conn.Close(t.Context())
		t.Error("its program still gets in")
	}
	r.su(`ALTER ROLE ` + name + runtimeSuffix + ` RENAME TO ` + name + `_gone`)
	if err := p.Quarantine(t.Context(), x.Backend); err != nil {
		t.Error(err)
	}
	r.su(`ALTER ROLE ` + name + `_away RENAME TO ` + name + ownerSuffix + `; ALTER ROLE ` + name + `_gone RENAME TO ` + name + runtimeSuffix)
	if err := p.Drop(t.Context(), x.Backend, x.Credentials); err != nil {
		t.Error(err)
	}
}

// A customer's program with sessions open, a large object, default rights of its own and a table in a database that lets everybody in.
func TestDropTakesWhatARoleHasElsewhere(t *testing.T) {
	r := newRig(t)
	p := r.provider()
	x := r.create(p, "ten_1", things)
	careless := p.names.prefix + "careless"
	r.su(`CREATE DATABASE ` + careless + ` OWNER ` + r.role)
	open := r.connect(with(t, r.super, careless, ""))
	if _, err := open.Exec(t.Context(), `GRANT ALL ON SCHEMA public TO PUBLIC`); err != nil {
		t.Fatal(err)
	}
	_ = open.Close(t.Context())
	name, _, _ := p.database(x.Backend)
	for database, sql := range map[string]string{
		careless: `CREATE TABLE mine (n integer)`,
		name:     `SELECT lo_create(0); ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC; CREATE TEMPORARY TABLE mine (n integer)`,
	} {
		conn := r.connect(with(t, x.URL, database, ""))
		defer func() { _ = conn.Close(context.Background()) }()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Drop(t.Context(), x.Backend, x.Credentials); err != nil {
		t.Fatal(err)
	}
	if n := one[int](r, `SELECT count(*) FROM pg_roles WHERE starts_with(rolname, $1)`, name); n != 0 {
		t.Errorf("%d roles are left", n)
	}
}

func TestDoctor(t *testing.T) {
	r := newRig(t)
	p := r.provider()
	has := func(part string) (f Finding, ok bool) {
		t.Helper()
		all, err := p.Doctor(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			if strings.Contains(f.What+" "+f.SQL, part) {
				return f, true
			}
		}
		return f, false
	}
	if f, ok := has("may not"); ok {
		t.Errorf("on a sound cluster: %+v", f)
	}
	if _, ok := has("REVOKE CONNECT ON DATABASE \"postgres\""); !ok {
		t.Error("a database that lets everybody in is not named")
	}
	r.su(`ALTER ROLE ` + r.role + ` NOCREATEDB NOCREATEROLE CONNECTION LIMIT 3`)
	for _, right := range []string{"CREATEDB", "CREATEROLE", "CONNECTION LIMIT -1"} {
		f, ok := has(`ALTER ROLE "` + r.role + `" ` + right)
		if !ok || f.Problem != strings.HasPrefix(right, "CREATE") {
			t.Errorf("%s: %+v, %v", right, f, ok)
			continue
		}
		r.su(f.SQL) // what it says is what mends it
	}
	if f, ok := has("ALTER ROLE"); ok {
		t.Errorf("after mending: %+v", f)
	}
	r.create(p, "ten_1", things)
	r.su(`REVOKE ` + p.names.owner() + ` FROM ` + r.role)
	f, ok := has("is not granted")
	if !ok || !f.Problem {
		t.Errorf("a lost membership is not named")
	}
	r.su(f.SQL)
	if _, ok := has("is not granted"); ok {
		t.Error("after mending it is still named")
	}
	if err := p.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	super := r.provider(func(c *Config) { c.AdminURL = r.super; c.MaxConns = 10_000 })
	p = super
	for _, part := range []string{"is a superuser", "max_connections"} {
		if _, ok := has(part); !ok {
			t.Errorf("not named: %s", part)
		}
	}
}

func TestNewRefusesABadConfig(t *testing.T) {
	const good = "postgres://u:secretpw@localhost/postgres"
	for _, c := range []Config{
		{},
		{AdminURL: "mysql://u:secretpw@h/d"},
		{AdminURL: "postgres://u:secretpw@h:port/d"},
		{AdminURL: "host=h password=secretpw"},
		{AdminURL: good, Name: "A/b"},
		{AdminURL: good, Installation: "x@y"},
		{AdminURL: good, MaxConns: 2},
		{AdminURL: good, TenantConns: -1},
		{AdminURL: good + "?sslmode=secretpw"},
	} {
		if _, err := New(c); err == nil || strings.Contains(err.Error(), "secretpw") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestMarkersReadAsWritten(t *testing.T) {
	for _, installation := range []string{"", "one"} {
		n := newNames(installation)
		for _, m := range []Marker{
			{MarkTenant, "ten_1", 1},
			{MarkPool, "mem_1", 2},
			{MarkDropping, "ten_1", 1},
			{MarkTemplate, "k", 7},
			{MarkBuilding, "k", 7},
			{MarkRole, n.database("ten_1", 1), 0},
			{Kind: MarkCluster},
			{MarkTenant, "pool", 1},
		} {
			if got, ok := n.parseMarker(m.text(n.tag)); !ok || got != m {
				t.Errorf("%+v reads back as %+v, %v", m, got, ok)
			}
		}
		for _, foreign := range []string{"", "kitshub", "kitshub:", "kitshub:a", "kitshub:a:b", "kitshub:pool:a:1:2", "kitshub:ten_1:1@other", "x kitshub:ten_1:1"} {
			if m, ok := n.parseMarker(foreign); ok {
				t.Errorf("%q was taken for %+v", foreign, m)
			}
		}
		for _, name := range []string{n.database(strings.Repeat("x", 100), 1<<62) + runtimeSuffix, n.template(strings.Repeat("k", 32)), n.building(strings.Repeat("k", 32))} {
			if len(name) > maxName {
				t.Errorf("%s has %d bytes", name, len(name))
			}
		}
	}
}
