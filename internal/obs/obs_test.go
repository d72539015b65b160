package obs

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

var _ hub.Meter = (*Metrics)(nil)

const canary = "hunter2-canary"

// The secret goes into the log in every way that a careless line could take; none lets it through, and the control does.
func TestSecretsStayOutOfTheLog(t *testing.T) {
	address := "postgres://hub:" + canary + "@db.example.com:5432/hub"
	lines := map[string]func(*slog.Logger){
		"key":        func(l *slog.Logger) { l.Info("x", "password", canary) },
		"longer key": func(l *slog.Logger) { l.Info("x", "Status_Token", canary) },
		"header": func(l *slog.Logger) {
			l.Info("x", "headers", http.Header{"Authorization": {"Bearer " + canary}, "Cookie": {canary}})
		},
		"query":          func(l *slog.Logger) { l.Info("x", "query", url.Values{"token": {canary}}) },
		"bytes":          func(l *slog.Logger) { l.Info("x", "secret", []byte(canary)) },
		"group":          func(l *slog.Logger) { l.WithGroup("credentials").Info("x", "user", canary) },
		"attr of group":  func(l *slog.Logger) { l.Info("x", slog.Group("smtp", "password", canary)) },
		"with":           func(l *slog.Logger) { l.With("connection_string", canary).Info("x") },
		"map":            func(l *slog.Logger) { l.Info("x", "detail", map[string]any{"deep": map[string]any{"api_key": canary}}) },
		"map of text":    func(l *slog.Logger) { l.Info("x", "env", map[string]string{"DATABASE_URL": canary, "other": address}) },
		"list":           func(l *slog.Logger) { l.Info("x", "args", []any{address, []string{address}}) },
		"address":        func(l *slog.Logger) { l.Info("x", "place", address) },
		"message":        func(l *slog.Logger) { l.Info("connecting to " + address) },
		"error":          func(l *slog.Logger) { l.Error("x", "error", errors.New("dial "+address+": refused")) },
		"url":            func(l *slog.Logger) { u, _ := url.Parse(address); l.Info("x", "at", u) },
		"at in password": func(l *slog.Logger) { l.Info("x", "at", "smtp://a:p@"+canary+"@mail:587") },
	}
	forms := []string{canary, base64.StdEncoding.EncodeToString([]byte(canary)), url.QueryEscape(canary)}
	for name, write := range lines {
		for _, format := range []string{"json", "text"} {
			var b bytes.Buffer
			write(NewLogger(&b, slog.LevelDebug, format))
			for _, form := range forms {
				if strings.Contains(b.String(), form) {
					t.Errorf("%s as %s shows the secret: %s", name, format, b.String())
				}
			}
			if !strings.Contains(b.String(), "redacted") {
				t.Errorf("%s as %s does not say that something was blanked: %s", name, format, b.String())
			}
		}
	}
	var b bytes.Buffer
	NewLogger(&b, slog.LevelInfo, "json").Info("x", "company", canary)
	if !strings.Contains(b.String(), canary) {
		t.Error("the control is blanked too, so this test shows nothing")
	}
}

// A line with nothing to blank is the same whichever way it goes.
func TestHarmlessLines(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		var short, long bytes.Buffer
		both := NewLogger(&short, slog.LevelInfo, format).Handler().(lines)
		careful := NewLogger(&long, slog.LevelInfo, format).Handler().(lines).redacted
		for _, attrs := range [][]slog.Attr{
			nil,
			{slog.String("route", "/api/v1/status"), slog.Int("status", 200), slog.Float64("duration_ms", 0.125), slog.Int64("bytes", 600)},
			{slog.Bool("yes", true), slog.Duration("took", time.Second), slog.Time("at", time.Unix(1, 2)), slog.Uint64("n", 7), slog.String("a", "<b>\"\n")},
		} {
			r := slog.NewRecord(time.Unix(1750000000, 123456000), slog.LevelInfo, "http", 0)
			r.AddAttrs(attrs...)
			if !harmless(r) {
				t.Errorf("%v goes the long way", attrs)
			}
			if err := errors.Join(both.Handle(t.Context(), r), careful.Handle(t.Context(), r)); err != nil {
				t.Fatal(err)
			}
		}
		if short.String() != long.String() || short.Len() == 0 {
			t.Errorf("the short way\n%s\nthe long way\n%s", &short, &long)
		}
	}
}

func TestLoggerKeepsWhatPeopleNeed(t *testing.T) {
	var b bytes.Buffer
	l := NewLogger(&b, slog.LevelInfo, "json")
	l.Debug("not this")
	l.Info("mail sent", "to", "https://hub.example.com/status/x", "request", "req_1", "count", 3, "address", "a@example.com", "at", "postgres://hub@db/hub")
	got := b.String()
	for _, want := range []string{`"msg":"mail sent"`, `"request":"req_1"`, `"count":3`, `"https://hub.example.com/status/x"`, `"a@example.com"`, `"postgres://hub@db/hub"`} {
		if !strings.Contains(got, want) {
			t.Errorf("the line lacks %s: %s", want, got)
		}
	}
	if strings.Contains(got, "not this") || strings.Contains(got, "redacted") {
		t.Errorf("the line: %s", got)
	}
}

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return "\n" + w.Body.String()
}

func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains(text, "\n"+l+"\n") {
			t.Errorf("no line %q", l)
		}
	}
}

// Each metric of the contract is there before anything happened, so that a rate over it is right from the first event.
func TestMetricsStartAtZero(t *testing.T) {
	text := scrape(t, NewMetrics([]string{"starter", "enterprise"}))
	wantLines(t, text,
		`provisioning_requests_created_total{plan="starter"} 0`, `provisioning_requests_created_total{plan="enterprise"} 0`,
		`provisioning_requests_completed_total{plan="starter"} 0`,
		`provisioning_requests_failed_total{class="network",plan="starter"} 0`, `provisioning_requests_failed_total{class="catalog",plan="enterprise"} 0`,
		`provisioning_request_duration_seconds_count 0`, `provisioning_request_duration_seconds_bucket{le="0.005"} 0`, `provisioning_request_duration_seconds_bucket{le="3600"} 0`,
		`provisioning_queue_depth{priority="0"} 0`, `provisioning_queue_depth{priority="1"} 0`, `provisioning_queue_depth{priority="2"} 0`,
	)
	for _, part := range []string{"\ngo_goroutines ", "\nprocess_resident_memory_bytes "} {
		if !strings.Contains(text, part) {
			t.Errorf("no metric %s", part)
		}
	}
}

func TestMetricsCount(t *testing.T) {
	m := NewMetrics([]string{"starter"})
	m.SetVersion("v1.2.3")
	m.SetQueueDepth(func(context.Context) ([3]int, error) { return [3]int{7, 0, 2}, nil })
	m.RequestCreated("starter")
	m.RequestCreated("new-plan")
	m.RequestCompleted("starter", 300*time.Millisecond)
	m.RequestFailed("starter", hub.ClassCatalog)
	m.ObserveHTTP("GET /api/v1/requests/{id}", "GET", 404, time.Millisecond)
	m.ObserveHTTP("", "BREW", 200, time.Millisecond)
	wantLines(t, scrape(t, m),
		`provisioning_requests_created_total{plan="starter"} 1`, `provisioning_requests_created_total{plan="new-plan"} 1`,
		`provisioning_requests_completed_total{plan="starter"} 1`, `provisioning_requests_failed_total{class="catalog",plan="starter"} 1`,
		`provisioning_request_duration_seconds_bucket{le="0.25"} 0`, `provisioning_request_duration_seconds_bucket{le="0.5"} 1`,
		`provisioning_queue_depth{priority="0"} 7`, `provisioning_queue_depth{priority="2"} 2`,
		`http_request_duration_seconds_count{method="GET",route="GET /api/v1/requests/{id}",status="4xx"} 1`,
		`http_request_duration_seconds_count{method="other",route="",status="2xx"} 1`,
	)
	if text := scrape(t, m); !strings.Contains(text, `version="v1.2.3"} 1`) {
		t.Error("the version is not shown")
	}
}

// A database that does not answer takes its own metric away, no other, and holds the scrape up for a bounded time only.
func TestScrapeWithoutADatabase(t *testing.T) {
	m := NewMetrics([]string{"starter"})
	m.SetQueueDepth(func(ctx context.Context) ([3]int, error) {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("the count has no deadline")
		}
		return [3]int{}, errors.New("down")
	})
	text := scrape(t, m)
	wantLines(t, text, `provisioning_requests_created_total{plan="starter"} 0`, `provisioning_queue_depth_errors_total 1`)
	if strings.Contains(text, "provisioning_queue_depth{") {
		t.Error("a depth is shown that nobody counted")
	}
}

// The pool's counters are there at zero; its depth is what is counted at the scrape, and nothing where there is none or nobody can count.
func TestMetricsOfThePool(t *testing.T) {
	m := NewMetrics([]string{"starter"})
	text := scrape(t, m)
	wantLines(t, text,
		`provisioning_pool_taken_total{plan="starter",result="hit"} 0`, `provisioning_pool_taken_total{plan="starter",result="miss"} 0`,
		`provisioning_pool_failures_total{class="network",plan="starter"} 0`, `provisioning_pool_depth_errors_total 0`,
	)
	if strings.Contains(text, "provisioning_pool_depth{") {
		t.Error("a depth is shown where there is no pool")
	}
	var err error
	m.SetPoolDepths(func(ctx context.Context) ([]hub.PoolDepth, error) {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("the count has no deadline")
		}
		return []hub.PoolDepth{{Plan: "starter", Ready: 2, Preparing: 1}}, err
	})
	m.PoolTaken("starter", true)
	m.PoolTaken("starter", false)
	m.PoolTaken("starter", false)
	m.PoolFailed("starter", hub.ClassNetwork)
	wantLines(t, scrape(t, m),
		`provisioning_pool_depth{plan="starter",state="ready"} 2`, `provisioning_pool_depth{plan="starter",state="preparing"} 1`,
		`provisioning_pool_taken_total{plan="starter",result="hit"} 1`, `provisioning_pool_taken_total{plan="starter",result="miss"} 2`,
		`provisioning_pool_failures_total{class="network",plan="starter"} 1`,
	)
	err = errors.New("down")
	text = scrape(t, m)
	wantLines(t, text, `provisioning_pool_depth_errors_total 1`)
	if strings.Contains(text, "provisioning_pool_depth{") {
		t.Error("a depth is shown that nobody counted")
	}
}

// Findings are there at zero from the start, and what a later scan does not find is gone.
func TestReconcileFindings(t *testing.T) {
	m := NewMetrics([]string{"starter"})
	has := func(want ...string) {
		t.Helper()
		body := scrape(t, m)
		for _, w := range want {
			if !strings.Contains(body, w+"\n") {
				t.Errorf("%q is missing", w)
			}
		}
	}
	has(`provisioning_reconcile_findings{kind="orphan"} 0`, `provisioning_reconcile_findings{kind="ghost"} 0`, `provisioning_reconcile_findings{kind="mismatch"} 0`)
	m.Reconciled(map[string]int{hub.Orphan: 2, hub.Ghost: 1})
	has(`provisioning_reconcile_findings{kind="orphan"} 2`, `provisioning_reconcile_findings{kind="ghost"} 1`)
	m.Reconciled(map[string]int{hub.Ghost: 1})
	has(`provisioning_reconcile_findings{kind="orphan"} 0`)
}
