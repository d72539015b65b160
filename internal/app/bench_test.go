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
)

// BenchmarkStatus is one look at a waiting customer's place through everything but the socket: default middleware, log and metrics on.
func BenchmarkStatus(b *testing.B) {
	cfg, err := config.Load([]string{"DATA_DIR=" + b.TempDir(), "LISTEN_ADDR=127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	a, err := app.New(b.Context(), cfg, slog.New(slog.NewJSONHandler(io.Discard, nil)), "bench")
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
	h := a.Handler()
	look := func(token string) {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/api/v1/status", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
	for _, t := range tokens {
		look(t)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		look(tokens[i%len(tokens)])
	}
}
