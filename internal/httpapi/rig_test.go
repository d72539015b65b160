package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/catalog"
	"github.com/kitshub/kitshub/internal/egress"
	"github.com/kitshub/kitshub/internal/events"
	"github.com/kitshub/kitshub/internal/httpapi"
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
)

func TestMain(m *testing.M) { testkit.Main(m) }

// patience is how long a test waits for what should come at once; the machine may be busy.
const patience = 60 * time.Second

const (
	adminMail = "grace@example.com"
	password  = "correct horse battery staple 7"
)

// rig is a hub on the real SQLite store behind the API, and nothing else.
type rig struct {
	t       testing.TB
	URL     string
	Service *hub.Service
	Store   *store.Store
	jobs    *jobs.Client
	dir     string // where the hub keeps its data
	log     *testkit.Log
	stop    context.CancelFunc // ends the event streams
	mails   chan hub.Letter
	seen    *observed
	token   string // of an admin
}

type option func(*httpapi.Options, *http.Server)

func newRig(t testing.TB, opts ...option) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{t: t, dir: dir, log: &testkit.Log{}, mails: make(chan hub.Letter, 100), seen: &observed{}}
	log := slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	var err error
	r.Store, err = store.OpenSQLite(dir)
	ok(t, err)
	t.Cleanup(func() { ok(t, r.Store.Close()) })
	r.jobs, err = jobs.New(jobs.Options{Workers: 2, Instance: "ins_test", Log: slog.New(slog.DiscardHandler), SQLite: r.Store.WriterDB(), Alive: func(ctx context.Context) ([]string, error) { return r.Service.Alive(ctx) }})
	ok(t, err)
	ok(t, r.Store.Migrate(t.Context(), r.jobs.Migrate))
	key, err := vault.OpenKey("", dir, false)
	ok(t, err)
	v, err := vault.Open(t.Context(), key, r.Store)
	ok(t, err)
	cat, err := catalog.Builtin()
	ok(t, err)
	files, err := sqlitefile.New(sqlitefile.Config{Dir: filepath.Join(dir, "tenants")})
	ok(t, err)
	manual := external.NewManual(egress.New(egress.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128")}}), log)
	nowhere := egress.New(egress.Options{Resolve: func(_ context.Context, host string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}})
	r.Service = hub.New(hub.Deps{
		Store: r.Store, Jobs: r.jobs, Catalogs: fixed{cat}, Providers: map[string]hub.Provider{files.Name(): files, manual.Name(): manual, external.NameSupabase: external.NewSupabase(nowhere, log)}, Default: files.Name(),
		TenantDB: tenantdb.New(catalog.Split), Vault: v, Tokens: hubtest.Tokens{}, Passwords: hubtest.NewPasswords(), Events: events.New(),
		Meter: &hubtest.Meter{}, Mailer: r, Log: log, PublicURL: "http://hub.test", Instance: "ins_test", Home: "home", Workers: 2,
	})
	r.jobs.SetHandler(r.Service)
	base, stop := context.WithCancel(context.Background())
	r.stop = stop
	o := httpapi.Options{
		Service: r.Service, Log: log, Cookies: web.NewCookies("http://hub.test"), Version: "test", PublicURL: "http://hub.test", Streams: web.NewStreams(base, r.Service, log), Observe: r.seen.observe,
		Readiness: func(context.Context) web.Readiness { return web.Readiness{Status: web.OK} },
	}
	srv := httptest.NewUnstartedServer(nil)
	for _, opt := range opts {
		opt(&o, srv.Config)
	}
	srv.Config.Handler = httpapi.New(o)
	srv.Start()
	t.Cleanup(func() { stop(); srv.Close() })
	r.URL = srv.URL
	_, err = r.Service.CreateOperator(t.Context(), hub.CLIActor(), hub.NewOperator{Email: adminMail, Name: "Grace", Rank: hub.Admin, Password: password})
	ok(t, err)
	r.token = r.tokenFor("root", hub.Admin)
	return r
}

// work runs the pipeline's jobs until the test ends.
func (r *rig) work() {
	ok(r.t, r.Service.Beat(r.t.Context()))
	ok(r.t, r.jobs.Start(context.Background()))
	r.t.Cleanup(func() { ok(r.t, r.jobs.Stop(context.Background())) })
}

func (r *rig) tokenFor(name string, rank hub.Rank) string {
	_, token, err := r.Service.CreateAPIToken(r.t.Context(), hub.CLIActor(), name, rank)
	ok(r.t, err)
	return token
}

// Send implements hub.Mailer.
func (r *rig) Send(_ context.Context, _ string, l hub.Letter) error { r.mails <- l; return nil }

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// reply is an answer of the hub.
type reply struct {
	t      testing.TB
	Status int
	Header http.Header
	Raw    string
	JSON   map[string]any
}

// call sends a request; headers are "Name: value". A body that is no string is sent as JSON.
func (r *rig) call(method, path string, body any, headers ...string) reply {
	r.t.Helper()
	var src io.Reader
	typed := false
	switch b := body.(type) {
	case nil:
	case string:
		src, typed = strings.NewReader(b), true
	default:
		raw, err := json.Marshal(b)
		ok(r.t, err)
		src, typed = bytes.NewReader(raw), true
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, r.URL+path, src)
	ok(r.t, err)
	if typed {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		switch {
		case value == "-":
			req.Header.Del(name)
		case name != "":
			req.Header.Set(name, value)
		}
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	ok(r.t, err)
	defer func() { ok(r.t, res.Body.Close()) }()
	raw, err := io.ReadAll(res.Body)
	ok(r.t, err)
	out := reply{t: r.t, Status: res.StatusCode, Header: res.Header, Raw: string(raw)}
	if strings.Contains(res.Header.Get("Content-Type"), "json") && method != http.MethodHead {
		if err := json.Unmarshal(raw, &out.JSON); err != nil {
			r.t.Fatalf("%s %s: %v in %q", method, path, err, raw)
		}
	}
	if out.Header.Get("X-Request-Id") == "" {
		r.t.Errorf("%s %s has no X-Request-Id", method, path)
	}
	return out
}

func bearer(token string) string { return "Authorization: Bearer " + token }

// as calls with the admin's token.
func (r *rig) as(method, path string, body any, headers ...string) reply {
	r.t.Helper()
	return r.call(method, path, body, append([]string{bearer(r.token)}, headers...)...)
}

// want fails unless the status is this one.
func (p reply) want(status int) reply {
	p.t.Helper()
	if p.Status != status {
		p.t.Fatalf("got %d, want %d: %s", p.Status, status, p.Raw)
	}
	return p
}

// refused fails unless this is a whole problem document with this status and code.
func (p reply) refused(status int, code string) reply {
	p.t.Helper()
	p.want(status)
	if p.JSON["code"] != code {
		p.t.Fatalf("got code %v, want %s: %s", p.JSON["code"], code, p.Raw)
	}
	if ct := p.Header.Get("Content-Type"); ct != "application/problem+json" {
		p.t.Errorf("content type %q", ct)
	}
	for _, name := range []string{"type", "title", "detail", "instance", "error", "request_id"} {
		if s, _ := p.JSON[name].(string); s == "" {
			p.t.Errorf("%s is missing: %s", name, p.Raw)
		}
	}
	if p.JSON["success"] != false || p.JSON["error"] != p.JSON["detail"] || p.JSON["status"] != float64(status) || p.JSON["request_id"] != p.Header.Get("X-Request-Id") {
		p.t.Errorf("the members do not agree: %s", p.Raw)
	}
	if _, listed := p.JSON["errors"].([]any); !listed {
		p.t.Errorf("errors is no list: %s", p.Raw)
	}
	return p
}

// fields shows errors as "pointer CODE".
func (p reply) fields() string {
	var out []string
	errs, _ := p.JSON["errors"].([]any)
	for _, e := range errs {
		m, _ := e.(map[string]any)
		out = append(out, fmt.Sprint(m["pointer"], " ", m["code"]))
		if s, _ := m["detail"].(string); s == "" {
			p.t.Errorf("a field has no detail: %s", p.Raw)
		}
	}
	return strings.Join(out, ", ")
}

// at reads a path of names in data ("request.id"), or in the whole if it begins with a dot.
func (p reply) at(path string) any {
	p.t.Helper()
	var v any = p.JSON["data"]
	if rest, whole := strings.CutPrefix(path, "."); whole {
		v, path = p.JSON, rest
	}
	for _, name := range strings.Split(path, ".") {
		if list, isList := v.([]any); isList {
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(list) {
				p.t.Fatalf("no %q in %s", path, p.Raw)
			}
			v = list[i]
			continue
		}
		m, isMap := v.(map[string]any)
		if !isMap {
			p.t.Fatalf("no %q in %s", path, p.Raw)
		}
		v = m[name]
	}
	return v
}

func (p reply) text(path string) string {
	p.t.Helper()
	s, is := p.at(path).(string)
	if !is {
		p.t.Fatalf("%q is no text in %s", path, p.Raw)
	}
	return s
}

func (p reply) list() []any {
	l, _ := p.JSON["data"].([]any)
	return l
}

// equal compares a member with a value.
func (p reply) equal(path string, want any) reply {
	p.t.Helper()
	if got := p.at(path); fmt.Sprint(got) != fmt.Sprint(want) {
		p.t.Errorf("%s is %v, want %v: %s", path, got, want, p.Raw)
	}
	return p
}

type obj = map[string]any

func person(n int, plan string) obj {
	return obj{"email": fmt.Sprintf("p%d@example.com", n), "company_name": fmt.Sprintf("Company %d", n), "contact_name": "Ada", "plan": plan}
}

// signUp gives the id of the request and the status token.
func (r *rig) signUp(n int, plan string) (id, token string) {
	r.t.Helper()
	p := r.call("POST", "/api/v1/onboarding", person(n, plan)).want(201)
	return p.text("request.id"), p.text("status_token")
}

type fixed struct{ cat *hub.Catalog }

func (f fixed) Current() *hub.Catalog        { return f.cat }
func (f fixed) Reload(context.Context) error { return nil }

type observed struct {
	mu    sync.Mutex
	lines []string
}

func (o *observed) observe(route, method string, status int, _ time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lines = append(o.lines, fmt.Sprint(method, " ", route, " ", status))
}
