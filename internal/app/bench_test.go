package app_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/kitshub/kitshub/internal/app"
	"github.com/kitshub/kitshub/internal/config"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/obs"
)

// BenchmarkStatus is one look at a waiting customer's place through everything but the socket: default middleware, log and metrics on.
func BenchmarkStatus(b *testing.B) {
	cfg, err := config.Load([]string{"DATA_DIR=" + b.TempDir(), "LISTEN_ADDR=127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	a, err := app.New(b.Context(), cfg, obs.NewLogger(io.Discard, slog.LevelInfo, "json"), "bench")
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			b.Error(err)
		}
	}()
	tokens := make([]string, 200)
	for i := range tokens {
		up, err := a.Service.SignUp(b.Context(), hub.SignUp{Email: fmt.Sprintf("c%d@example.com", i), CompanyName: "Company", ContactName: "Contact", Plan: "enterprise"})
		if err != nil {
			b.Fatal(err)
		}
		tokens[i] = up.StatusToken
	}
	if err := a.Service.ReadLine(b.Context()); err != nil {
		b.Fatal(err)
	}
	asks := make([]*http.Request, len(tokens))
	for i, t := range tokens {
		asks[i] = httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/api/v1/status", nil)
		asks[i].Header.Set("Authorization", "Bearer "+t)
	}
	h := a.Handler()
	w := &discard{header: http.Header{}}
	look := func(i int) {
		clear(w.header)
		w.status = 0
		h.ServeHTTP(w, asks[i])
		if w.status != http.StatusOK {
			b.Fatal(w.status)
		}
	}
	for i := range asks {
		look(i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		look(i % len(asks))
	}
}

// discard costs nothing, so that what is measured is the hub's.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
