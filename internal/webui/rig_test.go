package webui_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/catalog"
	"github.com/kitshub/kitshub/internal/egress"
	"github.com/kitshub/kitshub/internal/events"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/hub/hubtest"
	"github.com/kitshub/kitshub/internal/jobs"
	"github.com/kitshub/kitshub/internal/provider/external"
	"github.com/kitshub/kitshub/internal/provider/sqlitefile"
	"github.com/kitshub/kitshub/internal/store"
	"github.com/kitshub/kitshub/internal/tenantdb"
	"github.com/kitshub/kitshub/internal/testkit"
	"github.com/kitshub/kitshub/internal/vault"
	"github.com/kitshub/kitshub/internal/web"
	"github.com/kitshub/kitshub/internal/webui"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// patience is how long a test waits for what should come at once; the machine may be busy.
const patience = 60 * time.Second

const (
	adminMail = "grace@example.com"
	password  = "correct horse battery staple 7"
)

// rig is a hub on the real store, vault, catalog and pipeline, with the pages in front. Its pipeline starts with work, so that a test sees
// the line before anything moves.
type rig struct {
	t       testing.TB
	URL     string
	Service *hub.Service
	cats    *shelf
	jobs    *jobs.Client
	log     *testkit.Log
	cut     func() // breaks every open connection, as a restart or a bad network does
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := newEmptyRig(t)
	r.hire(adminMail, "Grace Höpper", hub.Admin)
	return r
}

// newEmptyRig has no operator yet.
func newEmptyRig(t testing.TB) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{t: t, cats: &shelf{}, log: &testkit.Log{}}
	st, err := store.OpenSQLite(dir)
	ok(t, err)
	t.Cleanup(func() { ok(t, st.Close()) })
	r.jobs, err = jobs.New(jobs.Options{
		Workers: 2, Instance: "ins_test", Log: slog.New(slog.DiscardHandler), SQLite: st.WriterDB(),
		Alive: func(ctx context.Context) ([]string, error) { return r.Service.Alive(ctx) },
	})
	ok(t, err)
	ok(t, st.Migrate(t.Context(), r.jobs.Migrate))
	key, err := vault.OpenKey("", dir, false)
	ok(t, err)
	v, err := vault.Open(t.Context(), key, st)
	ok(t, err)
	cat, err := catalog.Builtin()
	ok(t, err)
	r.cats.put(cat)
	files, err := sqlitefile.New(sqlitefile.Config{Dir: filepath.Join(dir, "tenants")})
	ok(t, err)

	log := slog.New(slog.NewJSONHandler(r.log, nil))
	streams, endStreams := context.WithCancel(context.Background())
	pages := http.NewServeMux()
	srv := httptest.NewUnstartedServer(pages)
	conns := &connections{Listener: srv.Listener}
	srv.Listener = conns
	srv.Start()
	t.Cleanup(func() { endStreams(); srv.Close() })
	r.URL, r.cut = srv.URL, conns.cut
	wayOut := egress.New(egress.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	r.Service = hub.New(hub.Deps{
		Store: st, Jobs: r.jobs, Catalogs: r.cats, Providers: map[string]hub.Provider{
			files.Name(): files, external.NameManual: external.NewManual(wayOut, nil), external.NameSupabase: external.NewSupabase(wayOut, nil),
		}, Default: files.Name(),
		TenantDB: tenantdb.New(catalog.Split), Vault: v, Tokens: hubtest.Tokens{}, Passwords: hubtest.NewPasswords(), Events: events.New(),
		Meter: &hubtest.Meter{}, Mailer: &hubtest.Mailer{}, Log: log, PublicURL: srv.URL, Instance: "ins_test", Home: "home", Workers: 2,
	})
	r.jobs.SetHandler(r.Service)
	ui := webui.New(webui.Options{
		Service: r.Service, Log: log, Cookies: web.NewCookies(srv.URL), Version: "test", Streams: web.NewStreams(streams, r.Service, log),
		Refuse: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, string(hub.CodeOf(err)), http.StatusTeapot)
		},
	})
	pages.Handle("/", web.Common(web.Options{Log: log})(ui))
	ok(t, r.Service.Beat(t.Context()))
	return r
}

// work runs the pipeline's jobs until the test ends.
func (r *rig) work() {
	ok(r.t, r.jobs.Start(context.Background()))
	r.t.Cleanup(func() { ok(r.t, r.jobs.Stop(context.Background())) })
}

// signUp puts a company in the line behind the pages' back.
func (r *rig) signUp(email, company, plan string) hub.SignedUp {
	r.t.Helper()
	s, err := r.Service.SignUp(r.t.Context(), hub.SignUp{Email: email, CompanyName: company, ContactName: "Jörg Müller", Plan: plan})
	ok(r.t, err)
	return s
}

func (r *rig) reach(id string, s hub.State) {
	r.t.Helper()
	hubtest.Reach(r.t, r.Service, id, s)
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// shelf is a catalog that a test can break and mend.
type shelf struct {
	mu  sync.Mutex
	now *hub.Catalog
}

func (s *shelf) Current() *hub.Catalog {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *shelf) Reload(context.Context) error { return nil }

func (s *shelf) put(c *hub.Catalog) (before *hub.Catalog) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, s.now = s.now, c
	return before
}

// broken gives the catalog with a migration of the feature that no database takes.
func broken(c *hub.Catalog, feature string) *hub.Catalog {
	out := *c
	out.Version = "b" + c.Version[1:]
	out.Features = slices.Clone(c.Features)
	i := slices.IndexFunc(out.Features, func(f hub.Feature) bool { return f.Name == feature })
	f := &out.Features[i]
	f.Migrations = slices.Clone(f.Migrations)
	f.Migrations[0].Text = map[hub.Dialect]hub.Source{
		hub.SQLite: {File: "features/" + feature + "/0001.sql", SQL: "CREATE TABEL oops (id TEXT);", Checksum: "00"},
	}
	return &out
}

// connections remembers the connections of a server, also those that streams took over.
type connections struct {
	net.Listener
	mu  sync.Mutex
	all []net.Conn
}

func (c *connections) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.all = append(c.all, conn)
	}
	return conn, err
}

// cut breaks them, as a network does.
func (c *connections) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.all {
		_ = conn.Close()
	}
	c.all = nil
}
