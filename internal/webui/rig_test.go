package webui_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/auth"
	"github.com/kitshub/kitshub/internal/catalog"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/jobs"
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
	log     *safeBuffer
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
	r := &rig{t: t, cats: &shelf{}, log: &safeBuffer{}}
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
	srv := httptest.NewServer(pages)
	t.Cleanup(func() { endStreams(); srv.Close() })
	r.URL = srv.URL
	r.Service = hub.New(hub.Deps{
		Store: st, Jobs: r.jobs, Catalogs: r.cats, Providers: map[string]hub.Provider{files.Name(): files}, Default: files.Name(),
		TenantDB: tenantdb.New(catalog.Split), Vault: v, Tokens: tokens{}, Passwords: passwords{auth.NewHasherForTests()}, Events: newBus(),
		Meter: meter{}, Mailer: noMail{}, Log: slog.New(slog.DiscardHandler), PublicURL: srv.URL, Instance: "ins_test", Home: "home", Workers: 2,
	})
	r.jobs.SetHandler(r.Service)
	ui := webui.New(webui.Options{
		Service: r.Service, Log: log, Cookies: web.NewCookies(srv.URL), Version: "test", Stop: streams.Done(),
		NotFound: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"code":"NOT_FOUND"}`, http.StatusNotFound)
		}),
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

// reach waits until the request is in the state.
func (r *rig) reach(id string, s hub.State) {
	r.t.Helper()
	changed, stop := r.Service.Subscribe(id)
	defer stop()
	over := time.After(patience)
	for {
		req, err := r.Service.Request(r.t.Context(), id)
		ok(r.t, err)
		if req.State == s {
			return
		}
		select {
		case <-changed:
		case <-over:
			r.t.Fatalf("%s is %s, not %s: %+v", id, req.State, s, req.Failure)
		}
	}
}

// visitor is a browser without JavaScript.
type visitor struct {
	t      testing.TB
	base   string
	client *http.Client
}

func (r *rig) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	ok(r.t, err)
	c := &http.Client{Jar: jar, Transport: &http.Transport{}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r.t.Cleanup(c.CloseIdleConnections)
	return &visitor{t: r.t, base: r.URL, client: c}
}

// operator is a visitor who is logged in.
func (r *rig) operator(email string) *visitor {
	r.t.Helper()
	v := r.visitor()
	v.post("/console/login", "email", email, "password", password).want(http.StatusSeeOther)
	return v
}

type page struct {
	t      testing.TB
	Status int
	Header http.Header
	Body   string
}

func (v *visitor) do(req *http.Request) page {
	v.t.Helper()
	req.Header.Set("Accept", "text/html,*/*")
	res, err := v.client.Do(req)
	ok(v.t, err)
	defer func() { ok(v.t, res.Body.Close()) }()
	b, err := io.ReadAll(res.Body)
	ok(v.t, err)
	return page{v.t, res.StatusCode, res.Header, string(b)}
}

func (v *visitor) get(path string) page {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, v.base+path, nil)
	ok(v.t, err)
	return v.do(req)
}

// post sends a form of names and values as a browser of today does; an Origin header comes from no other name than "Origin".
func (v *visitor) post(path string, pairs ...string) page {
	v.t.Helper()
	form, site := url.Values{}, "same-origin"
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] == "Sec-Fetch-Site" {
			site = pairs[i+1]
			continue
		}
		form.Add(pairs[i], pairs[i+1])
	}
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.base+path, strings.NewReader(form.Encode()))
	ok(v.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", site)
	return v.do(req)
}

func (p page) want(status int) page {
	p.t.Helper()
	if p.Status != status {
		p.t.Fatalf("got %d, want %d: %s", p.Status, status, text(p.Body))
	}
	return p
}

// to gives where a redirect leads.
func (p page) to() string {
	p.t.Helper()
	p.want(http.StatusSeeOther)
	return p.Header.Get("Location")
}

// has fails unless the page shows each of these, tags aside.
func (p page) has(parts ...string) page {
	p.t.Helper()
	shown := text(p.Body)
	for _, s := range parts {
		if !strings.Contains(shown, s) {
			p.t.Errorf("the page lacks %q: %s", s, shown)
		}
	}
	return p
}

// hasNot fails if the source has one of these.
func (p page) hasNot(parts ...string) page {
	p.t.Helper()
	for _, s := range parts {
		if strings.Contains(p.Body, s) {
			p.t.Errorf("the page has %q", s)
		}
	}
	return p
}

// holds fails unless the source has each of these.
func (p page) holds(parts ...string) page {
	p.t.Helper()
	for _, s := range parts {
		if !strings.Contains(p.Body, s) {
			p.t.Errorf("the source lacks %q in %s", s, p.Body)
		}
	}
	return p
}

var tags = regexp.MustCompile(`(?s)<(?:head>.*?</head>|[^>]*>)`)

func text(html string) string {
	s := strings.NewReplacer("&lt;", "<", "&gt;", ">", "&#39;", "'", "&#34;", `"`, "&amp;", "&").Replace(tags.ReplaceAllString(html, " "))
	return strings.Join(strings.Fields(s), " ")
}

// fragments follows a page's events; next gives the next fragment, and last with it or when the stream ended.
func (v *visitor) fragments(path string) (next func() (html string, last bool)) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), patience)
	v.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.base+path, nil)
	ok(v.t, err)
	res, err := v.client.Do(req)
	ok(v.t, err)
	v.t.Cleanup(func() { _ = res.Body.Close() })
	if ct := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || ct != "text/event-stream" {
		v.t.Fatalf("the events answer %d %s", res.StatusCode, ct)
	}
	lines := bufio.NewReader(res.Body)
	return func() (string, bool) {
		v.t.Helper()
		for {
			line, err := lines.ReadString('\n')
			if errors.Is(err, io.EOF) {
				return "", true
			}
			ok(v.t, err)
			data, isData := strings.CutPrefix(line, "data: ")
			if !isData {
				continue
			}
			var f struct {
				HTML string
				Last bool
			}
			ok(v.t, json.Unmarshal([]byte(data), &f))
			return f.HTML, f.Last
		}
	}
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

type tokens struct{}

func (tokens) New(prefix string) (string, []byte) { return auth.NewToken(prefix) }
func (tokens) Hash(token string) []byte           { return auth.HashToken(token) }

type passwords struct{ h *auth.Hasher }

func (p passwords) Hash(_ context.Context, password string) (string, error) {
	return p.h.Hash(password)
}

func (p passwords) Verify(_ context.Context, password, encoded string) (good, rehash bool, err error) {
	return p.h.Verify(password, encoded)
}
func (p passwords) Burn(_ context.Context, password string) error { return p.h.DummyVerify(password) }
func (p passwords) Check(password string, identity ...string) *hub.Error {
	return auth.CheckPassword("length", password, identity...)
}

type meter struct{}

func (meter) RequestCreated(string)                  {}
func (meter) RequestCompleted(string, time.Duration) {}
func (meter) RequestFailed(string, hub.Class)        {}

type noMail struct{}

func (noMail) Send(context.Context, string, hub.Letter) error { return nil }

// bus is hub.Events within this process.
type bus struct {
	mu  sync.Mutex
	sub map[string]map[chan struct{}]bool
}

func newBus() *bus { return &bus{sub: map[string]map[chan struct{}]bool{}} }

func (b *bus) Publish(topics ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range topics {
		for ch := range b.sub[t] {
			select {
			case ch <- struct{}{}:
			default:
			}
		}
	}
}

func (b *bus) Subscribe(topic string) (<-chan struct{}, func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ch := make(chan struct{}, 1)
	if b.sub[topic] == nil {
		b.sub[topic] = map[chan struct{}]bool{}
	}
	b.sub[topic][ch] = true
	return ch, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.sub[topic], ch)
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
