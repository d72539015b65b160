package httpapi_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/kitshub/kitshub/internal/httpapi"
	"github.com/kitshub/kitshub/internal/web"
)

// Every failure is a problem document, whatever was called how.
func TestEveryFailureLooksTheSame(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"/", "/api", "/api/", "/api/v1", "/api/v1/nothing", "/api/v1/plans/", "/api//v1/plans", "/api/v1/../plans", "/docs/nothing.js", "/docs/../x"} {
		p := r.call("GET", path, nil).refused(404, "NOT_FOUND")
		if p.JSON["instance"] != path {
			t.Errorf("instance %v of %s", p.JSON["instance"], path)
		}
	}
	for path, allow := range map[string]string{
		"/api/v1/plans": "GET, HEAD", "/api/v1/onboarding": "POST", "/api/v1/operators": "GET, HEAD, POST", "/api/v1/requests/req_1/claim": "POST",
		"/livez": "GET, HEAD", "/openapi.json": "GET, HEAD", "/api/v1/requests/claim-next": "POST",
	} {
		if p := r.call("PATCH", path, nil).refused(405, "METHOD_NOT_ALLOWED"); p.Header.Get("Allow") != allow {
			t.Errorf("%s: Allow is %q, want %q", path, p.Header.Get("Allow"), allow)
		}
	}
	r.call("GET", "/api/v1/requests/claim-next", nil).refused(405, "METHOD_NOT_ALLOWED")
	if p := r.call("HEAD", "/api/v1/plans", nil).want(200); p.Raw != "" || p.Header.Get("Content-Length") == "0" {
		t.Errorf("HEAD: %q %v", p.Raw, p.Header)
	}
	big := `{"email":"` + strings.Repeat("x", web.MaxBody) + `"}`
	r.call("POST", "/api/v1/onboarding", big).refused(413, "BODY_TOO_LARGE")
	r.call("POST", "/api/v1/onboarding", big, "Transfer-Encoding: chunked").refused(413, "BODY_TOO_LARGE")
	r.as("POST", "/api/v1/requests/claim-next", big).refused(413, "BODY_TOO_LARGE")
	for _, ct := range []string{"Content-Type: text/plain", "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/json; charset=latin1", "Content-Type: ;", "Content-Encoding: gzip"} {
		r.call("POST", "/api/v1/onboarding", `{}`, ct).refused(415, "UNSUPPORTED_MEDIA_TYPE")
	}
	for _, ct := range []string{"Content-Type: application/json; charset=UTF-8", "Content-Type: -", "Content-Type: Application/JSON"} {
		r.call("POST", "/api/v1/onboarding", `{}`, ct).refused(400, "MISSING_EMAIL")
	}
}

func TestPanicIsAProblemAndIsLogged(t *testing.T) {
	r := newRig(t, func(o *httpapi.Options, _ *http.Server) {
		o.Readiness = func(context.Context) web.Readiness { panic("the secret cause") }
	})
	p := r.call("GET", "/readyz", nil).refused(500, "INTERNAL")
	if strings.Contains(p.Raw, "secret") || !strings.Contains(r.log.String(), "the secret cause") || !strings.Contains(r.log.String(), p.Header.Get("X-Request-Id")) {
		t.Error(p.Raw, r.log)
	}
}

func TestRequestIDs(t *testing.T) {
	r := newRig(t)
	long := strings.Repeat("a", 128)
	for sent, kept := range map[string]bool{"abc-123": true, long: true, "~!": true, long + "a": false, "a b": false, "ä": false} {
		if got := r.call("GET", "/api/v1/nothing", nil, "X-Request-Id: "+sent).Header.Get("X-Request-Id"); (got == sent) != kept {
			t.Errorf("%q became %q", sent, got)
		}
	}
}

func TestHeadersAndHealth(t *testing.T) {
	health := web.Readiness{Status: web.OK, Checks: map[string]web.Check{"database": {Status: web.OK, LatencyMS: 1}}}
	r := newRig(t, func(o *httpapi.Options, _ *http.Server) {
		o.Readiness = func(context.Context) web.Readiness { return health }
		o.PublicURL = "https://hub.example.com"
	})
	p := r.call("GET", "/livez", nil).want(200)
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
		"Strict-Transport-Security": "max-age=31536000", "Content-Security-Policy": web.CSP, "Cache-Control": "no-store",
	} {
		if got := p.Header.Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	if strings.Contains(web.CSP, "unsafe") {
		t.Error(web.CSP)
	}
	if p := r.call("GET", "/readyz", nil).want(200); p.JSON["status"] != "ok" || p.at(".checks.database.status") != "ok" {
		t.Error(p.Raw)
	}
	health.Status = web.Degraded
	r.call("GET", "/readyz", nil).want(200).equal(".status", "degraded")
	health.Status = web.Down
	r.call("GET", "/readyz", nil).want(503).equal(".status", "down")
	r.call("GET", "/openapi.json", nil).want(200).equal(".openapi", "3.1.0").equal(".info.version", "test")
	if p := r.call("GET", "/docs", nil).want(200); !strings.Contains(p.Raw, "swagger-ui") || strings.Contains(p.Raw, "<script>") || strings.Contains(p.Raw, "style=") {
		t.Error(p.Raw)
	}
	for _, f := range []string{"swagger-ui.css", "swagger-ui-bundle.js", "start.js", "favicon-32x32.png"} {
		if p := r.call("GET", "/docs/"+f, nil, "Accept-Encoding: identity").want(200); len(p.Raw) < 100 || p.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %d bytes %v", f, len(p.Raw), p.Header)
		}
		r.call("GET", "/docs/"+f, nil, "Accept-Encoding: gzip").want(200)
	}
}

// Log and metrics have the pattern and never a token; traceparent and the actor are in the line.
func TestAccessLog(t *testing.T) {
	r := newRig(t)
	id, token := r.signUp(1, "enterprise")
	trace := "0af7651916cd43dd8448eb211c80319c"
	r.as("GET", "/api/v1/requests/"+id+"?q="+token, nil, "traceparent: 00-"+trace+"-b7ad6b7169203331-01", "X-Request-Id: my-id").want(200)
	r.call("GET", "/api/v1/status", nil, bearer(token)).want(200)
	r.call("GET", "/status/"+token, nil).want(404)
	r.call("GET", "/"+token, nil).want(404)
	r.call("BREW", "/api/v1/plans", nil).want(405)
	log := r.log.String()
	for _, want := range []string{`"route":"/api/v1/requests/{id}"`, `"trace_id":"` + trace + `"`, `"request_id":"my-id"`, `"actor":"tok_`, `"route":"unmatched"`, `"method":"OTHER"`, `"status":200`, `"bytes":`, `"duration_ms":`} {
		if !strings.Contains(log, want) {
			t.Errorf("%s is missing in\n%s", want, log)
		}
	}
	for _, secret := range []string{token, id, r.token} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	r.seen.mu.Lock()
	defer r.seen.mu.Unlock()
	lines := strings.Join(r.seen.lines, "\n")
	if !strings.Contains(lines, "GET /api/v1/requests/{id} 200") || !strings.Contains(lines, "OTHER /api/v1/plans 405") || strings.Contains(lines, token) {
		t.Error(lines)
	}
}

// A caller who leaves is no failure of ours.
func TestCallerLeaves(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	r := newRig(t, func(o *httpapi.Options, _ *http.Server) {
		o.Readiness = func(ctx context.Context) web.Readiness {
			close(began)
			<-ctx.Done()
			close(release)
			return web.Readiness{Status: web.Down}
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL+"/readyz", nil)
	ok(t, err)
	go func() { <-began; cancel() }()
	if res, err := http.DefaultTransport.RoundTrip(req); err == nil {
		ok(t, res.Body.Close())
		t.Fatal("it was answered")
	}
	<-release
	if strings.Contains(r.log.String(), "ERROR") {
		t.Error(r.log)
	}
}

// A mutation that has begun is finished though its caller leaves: the effect is there, and a repetition gets its answer.
func TestBegunIsFinished(t *testing.T) {
	r := newRig(t, func(_ *httpapi.Options, s *http.Server) {
		gone, leave := context.WithCancel(context.Background())
		leave()
		s.ConnContext = func(ctx context.Context, _ net.Conn) context.Context { // every caller has left already
			return left{ctx, gone}
		}
	})
	key := "Idempotency-Key: k"
	first := r.call("POST", "/api/v1/onboarding", person(1, "starter"), key).want(201)
	if again := r.call("POST", "/api/v1/onboarding", person(1, "starter"), key).want(201); again.Raw != first.Raw {
		t.Error(again.Raw)
	}
	r.call("GET", "/api/v1/status", nil, bearer(first.text("status_token"))).refused(503, "UNAVAILABLE") // looking is not worth it
	if log := r.log.String(); strings.Contains(log, "ERROR") || !strings.Contains(log, `"status":499`) {
		t.Error(log)
	}
}

// left is a context that is over, with the values of another.
type left struct {
	values context.Context //nolint:containedctx // it is what the type is about
	context.Context
}

func (l left) Value(k any) any { return l.values.Value(k) }
