package app

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/kitshub/kitshub/internal/config"
)

// What the mux of all parts answers by itself must look like the answers of the parts; METRICS_ADDR has the metrics and nothing else.
func TestRoutesBetweenTheParts(t *testing.T) {
	cfg, err := config.Load([]string{"DATA_DIR=" + t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(t.Context(), cfg, slog.New(slog.DiscardHandler), "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, c := range []struct {
		name, method, path string
		h                  http.Handler
		status             int
		kind               string
	}{
		{"hub", "GET", "/api/v1/plans", a.Handler(), 200, "application/json"},
		{"hub", "GET", "//api/v1/plans", a.Handler(), 404, "application/problem+json"},
		{"hub", "GET", "/api/v1/../plans", a.Handler(), 404, "application/problem+json"},
		{"hub", "GET", "/api", a.Handler(), 404, "application/problem+json"},
		{"hub", "POST", "/metrics", a.Handler(), 405, "application/problem+json"},
		{"hub", "DELETE", "/", a.Handler(), 405, "application/problem+json"},
		{"metrics", "GET", "/metrics", a.metricsAlone(), 200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"},
		{"metrics", "POST", "/metrics", a.metricsAlone(), 405, "application/problem+json"},
		{"metrics", "GET", "/livez", a.metricsAlone(), 404, "application/problem+json"},
	} {
		w := httptest.NewRecorder()
		c.h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), c.method, "http://127.0.0.1:8080"+c.path, nil))
		res := w.Result()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != c.status || res.Header.Get("Content-Type") != c.kind {
			t.Errorf("%s: %s %s is %d %s: %s", c.name, c.method, c.path, res.StatusCode, res.Header.Get("Content-Type"), body)
		}
	}
}
