package web_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/testkit"
	"github.com/kitshub/kitshub/internal/web"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestCookies(t *testing.T) {
	for url, want := range map[string]string{
		"https://hub.example.com": "__Host-kitshub=tok; Path=/; Max-Age=43200; HttpOnly; Secure; SameSite=Lax",
		"HTTPS://hub.example.com": "__Host-kitshub=tok; Path=/; Max-Age=43200; HttpOnly; Secure; SameSite=Lax",
		"http://127.0.0.1:8080":   "kitshub=tok; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax",
	} {
		c := web.NewCookies(url)
		w := httptest.NewRecorder()
		c.Set(w, "tok")
		if got := w.Header().Get("Set-Cookie"); got != want {
			t.Errorf("%s: %s", url, got)
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if c.Read(r) != "" {
			t.Error("a cookie out of nowhere")
		}
		r.Header.Set("Cookie", strings.SplitN(want, ";", 2)[0])
		if c.Read(r) != "tok" {
			t.Error("the cookie was not read")
		}
		w = httptest.NewRecorder()
		c.Clear(w)
		if got := w.Header().Get("Set-Cookie"); !strings.Contains(got, "Max-Age=0") || !strings.HasPrefix(got, c.Name()+"=;") {
			t.Error(got)
		}
	}
}

func TestChainOrder(t *testing.T) {
	var order string
	mark := func(name string) web.Middleware {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { order += name; next.ServeHTTP(w, r) })
		}
	}
	web.Chain(http.NotFoundHandler(), mark("a"), mark("b")).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	if order != "ab" {
		t.Error(order)
	}
}

// Common inside Common: one line, one id; the inner part answers its own panics; the line has the mux's pattern and the actor.
func TestCommonOnce(t *testing.T) {
	var logged bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&logged, nil))
	var seen []string
	o := web.Options{Log: log, Observe: func(route, method string, status int, _ time.Duration) {
		seen = append(seen, method+" "+route+" "+http.StatusText(status))
	}}
	var inside string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /thing/{id}", func(_ http.ResponseWriter, r *http.Request) {
		inside = web.RequestID(r.Context())
		if hub.CallID(r.Context()) != inside {
			t.Error("the audit log would have another id")
		}
		r = r.WithContext(web.WithActor(r.Context(), hub.Actor{ID: "opr_1"}))
		if a, ok := web.ActorFrom(r.Context()); !ok || a.ID != "opr_1" {
			t.Error("no actor")
		}
	})
	inner := o
	inner.Fail = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }
	mux.Handle("/inner/", web.Common(inner)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("inside") })))
	mux.HandleFunc("/outer", func(http.ResponseWriter, *http.Request) { panic("outside") })
	h := web.Common(o)(mux)
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	if w := get("/thing/secret"); w.Header().Get("X-Request-Id") != inside || inside == "" {
		t.Error(w.Header())
	}
	if strings.Contains(logged.String(), "secret") || strings.Count(logged.String(), "\n") != 1 || !strings.Contains(logged.String(), `"actor":"opr_1"`) {
		t.Error(logged.String())
	}
	if w := get("/inner/"); w.Code != http.StatusTeapot {
		t.Error(w.Code)
	}
	if w := get("/outer"); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "outside") {
		t.Error(w.Code, w.Body)
	}
	if got := strings.Join(seen, "|"); got != "GET /thing/{id} OK|GET /inner/ I'm a teapot|GET /outer Internal Server Error" {
		t.Error(got)
	}
}

// An answer that had begun is cut off by a panic, not completed as if it were whole.
func TestPanicAfterTheFirstByte(t *testing.T) {
	srv := httptest.NewServer(web.Common(web.Options{Log: slog.New(slog.DiscardHandler)})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic("now")
	})))
	t.Cleanup(srv.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.ReadAll(res.Body); err == nil {
		t.Error("half an answer looks whole")
	}
}

func TestTraceparent(t *testing.T) {
	const id, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for h, want := range map[string]string{
		"00-" + id + "-" + span + "-01": id, "01-" + id + "-" + span + "-01-more": id, "": "", "00-" + id + "-" + span: "", "ff-" + id + "-" + span + "-01": "",
		"00-" + strings.ToUpper(id) + "-" + span + "-01": "", "00-" + strings.Repeat("0", 32) + "-" + span + "-01": "",
		"00-" + id + "-" + strings.Repeat("0", 16) + "-01": "", "00-" + id + "-" + span + "-01-more": "",
	} {
		var got string
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Traceparent", h)
		web.Calls()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = web.TraceID(r.Context()) })).ServeHTTP(httptest.NewRecorder(), r)
		if got != want {
			t.Errorf("%q: %q", h, got)
		}
	}
}
