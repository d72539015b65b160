package external

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/kitshub/kitshub/internal/catalog"
	"github.com/kitshub/kitshub/internal/egress"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/tenantdb"
	"github.com/kitshub/kitshub/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// canary is every test's password: it may be in no text that anybody sees.
const canary = "c4nary+pass/word=äö"

// ground is a database that somebody brings, with the role that owns it.
type ground struct {
	t     testing.TB
	super string // the superuser's address of the database
	user  string
	db    string
	URL   string // what is brought
}

// newGround makes an empty database; rights are further words of CREATE ROLE.
func newGround(t testing.TB, rights string) *ground {
	t.Helper()
	g := &ground{t: t, user: "brings_" + strings.ToLower(rand.Text()[:12])}
	server := testkit.ServerURL(t)
	exec(t, server, fmt.Sprintf(`CREATE ROLE %s LOGIN PASSWORD '%s' %s`, g.user, canary, rights))
	t.Cleanup(func() { exec(t, server, `DROP ROLE `+g.user) })
	g.super = testkit.Postgres(t)
	u, err := url.Parse(g.super)
	if err != nil {
		t.Fatal(err)
	}
	g.db = strings.TrimPrefix(u.Path, "/")
	exec(t, g.super, `ALTER DATABASE `+g.db+` OWNER TO `+g.user)
	u.User = url.UserPassword(g.user, canary)
	g.URL = u.String()
	return g
}

// exec runs statements on a connection of its own; the cleaning up of a test has no context any more.
func exec(t testing.TB, address, query string) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(context.Background(), query); err != nil {
		t.Fatalf("%v\n%s", err, query)
	}
}

// su runs statements as the superuser in the ground's database.
func (g *ground) su(query string) {
	g.t.Helper()
	exec(g.t, g.super, query)
}

// as runs statements as the role that was given.
func (g *ground) as(query string) {
	g.t.Helper()
	exec(g.t, g.URL, query)
}

func (g *ground) one(query string) string {
	g.t.Helper()
	db, err := sql.Open("pgx", g.super)
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var s string
	if err := db.QueryRowContext(g.t.Context(), query).Scan(&s); err != nil {
		g.t.Fatalf("%v\n%s", err, query)
	}
	return s
}

// all describes everything in the database but what the server made: relations, routines, types, schemas, policies, rights.
func (g *ground) all() string {
	return g.one(`SELECT coalesce(string_agg(x, E'\n' ORDER BY x), '') FROM (
		SELECT 'class ' || oid::regclass || relkind::text || coalesce(relacl::text, '') AS x FROM pg_class WHERE oid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace
		UNION ALL SELECT 'proc ' || oid::regprocedure FROM pg_proc WHERE oid >= 16384
		UNION ALL SELECT 'type ' || oid::regtype FROM pg_type WHERE oid >= 16384 AND typnamespace <> 'pg_toast'::regnamespace
		UNION ALL SELECT 'space ' || nspname || coalesce(nspacl::text, '') FROM pg_namespace WHERE nspname !~ '^pg_'
		UNION ALL SELECT 'policy ' || polname FROM pg_policy
		UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal
		UNION ALL SELECT 'extension ' || extname FROM pg_extension
		UNION ALL SELECT 'default ' || defaclrole::regrole || defaclacl::text FROM pg_default_acl) y`)
}

func (g *ground) with(edit func(u *url.URL)) string {
	g.t.Helper()
	u, err := url.Parse(g.URL)
	if err != nil {
		g.t.Fatal(err)
	}
	edit(u)
	return u.String()
}

func manual() *Manual { return NewManual(egress.New(egress.Options{Allow: loopback}), nil) }

// tenant is a backend that was brought.
type tenant struct {
	hub.Backend
	hub.Credentials
}

func bring(t testing.TB, p hub.Bringer, id string, given map[string]string) tenant {
	t.Helper()
	b, c, trial, err := p.Bring(t.Context(), id, 1, given)
	if err != nil {
		t.Fatalf("%v (%+v)", err, trial)
	}
	return tenant{b, c}
}

func conn(url string) map[string]string { return map[string]string{fieldConnection: url} }

// refusedBy wants a refusal with this code and words, and no secret in it.
func refusedBy(t testing.TB, p hub.Bringer, given map[string]string, code hub.Code, words ...string) *hub.Error {
	t.Helper()
	_, _, trial, err := p.Bring(t.Context(), "ten_1", 1, given)
	var e *hub.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	text := fmt.Sprintf("%v %+v %#v %+v", e, e.Fields, e.Cause, trial)
	for f := range e.Fields {
		text += e.Fields[f].Error()
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in %q", w, e.Error())
		}
	}
	if strings.Contains(text, canary) || strings.Contains(text, url.QueryEscape(canary)) {
		t.Errorf("the password is told: %s", text)
	}
	if e.Fix == "" {
		t.Errorf("no next step: %v", e)
	}
	if said := e.Error(); len(said) > 2000 || strings.ContainsFunc(said, unicode.IsControl) {
		t.Errorf("%d bytes are said: %.200q", len(said), said)
	}
	return e
}

// enterprise is the steps of the built-in plan with all features.
func enterprise(t testing.TB) []hub.Step {
	t.Helper()
	return stepsOf(t, func(c *hub.Catalog) []string {
		plan, _ := c.Plan("enterprise")
		return plan.Features
	})
}

// core is the steps of its fewest features.
func core(t testing.TB) []hub.Step {
	t.Helper()
	return stepsOf(t, func(*hub.Catalog) []string { return []string{"core"} })
}

func stepsOf(t testing.TB, pick func(*hub.Catalog) []string) []hub.Step {
	t.Helper()
	c, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	steps, err := hub.PlanSteps(c, pick(c), hub.Postgres)
	if err != nil || len(steps) < 5 {
		t.Fatalf("%d steps, %v", len(steps), err)
	}
	return steps
}

var ident1 = hub.Identity{TenantID: "ten_1", Generation: 1, CatalogVersion: "v1", MAC: "m"}

// provision does what the pipeline does; upTo cuts it short after so many steps of the ledger, -1 never.
func provision(t testing.TB, p hub.Provider, x tenant, steps []hub.Step, upTo int) {
	t.Helper()
	ctx := t.Context()
	if err := p.Create(ctx, x.Backend, x.Credentials, hub.Template{}); err != nil {
		t.Fatal(err)
	}
	db, err := p.Open(ctx, x.Backend, x.Credentials, hub.RoleOwner)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	td := tenantdb.New(catalog.Split)
	id := ident1
	id.TenantID = x.TenantID
	if err := td.Identify(ctx, db, hub.Postgres, id); err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		switch {
		case s.InLedger():
			if upTo--; upTo == -1 {
				return
			}
			err = td.Apply(ctx, db, hub.Postgres, s)
		case s.Kind == hub.StepCheck:
			err = td.Check(ctx, db, hub.Postgres, s)
		}
		if err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
	}
	td2, err := p.Open(ctx, x.Backend, x.Credentials, hub.RoleTenant)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = td2.Close() }()
	if err := td.Probe(ctx, td2, hub.Postgres, id, steps); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Size(ctx, x.Backend, x.Credentials); err != nil || n < 1<<20 {
		t.Errorf("size %d, %v", n, err)
	}
}

func drop(t testing.TB, p hub.Provider, x tenant) {
	t.Helper()
	if err := p.Drop(t.Context(), x.Backend, x.Credentials); err != nil {
		t.Fatal(err)
	}
}

var noTemplate hub.Template
