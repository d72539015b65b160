package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/app"
	"github.com/kitshub/kitshub/internal/config"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/hub/hubtest"
	"github.com/kitshub/kitshub/internal/obs"
	"github.com/kitshub/kitshub/internal/testkit"
)

// BenchmarkReady is the time from the answer to a sign-up until the customer's database is there, sealed and probed: over HTTP, on Postgres,
// with a pool that is full at each sign-up. The plan has every feature there is and is automatic.
func BenchmarkReady(b *testing.B) {
	for _, size := range []int{4, 0} {
		b.Run(fmt.Sprintf("pool=%d", size), func(b *testing.B) { benchReady(b, size) })
	}
}

func benchReady(b *testing.B, size int) {
	cfg, err := config.Load([]string{
		"DATA_DIR=" + b.TempDir(), "LISTEN_ADDR=127.0.0.1:0", "DATABASE_URL=" + testkit.Postgres(b), "TENANT_DATABASE_URL=" + hubtest.NewCluster(b).Address(),
		fmt.Sprintf("TENANT_POOL_SIZE=%d", size), "CATALOG_DIR=" + oneAutomaticPlan(b), "RATE_LIMITS=off",
	})
	if err != nil {
		b.Fatal(err)
	}
	a, err := app.New(b.Context(), cfg, obs.NewLogger(io.Discard, slog.LevelWarn, "text"), "bench")
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	listening, over := make(chan string, 1), make(chan error, 1)
	go func() { over <- a.Run(ctx, func(at net.Addr, _ string) { listening <- "http://" + at.String() }) }()
	b.Cleanup(func() {
		stop()
		if err := <-over; err != nil {
			b.Error(err)
		}
	})
	base := <-listening
	var took []time.Duration
	b.ResetTimer()
	for i := range b.N {
		b.StopTimer()
		if err := a.Service.FillPool(b.Context()); err != nil {
			b.Fatal(err)
		}
		id, token := joins(b, base, fmt.Sprintf("c%d@example.com", i))
		changed := make(chan struct{}, 1)
		cancel := a.Service.Subscribe(id, func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
		answered := time.Now()
		b.StartTimer()
		for s := ""; s != string(hub.Completed); s = status(b, base, token) {
			if s == string(hub.Failed) {
				b.Fatal("a request failed")
			}
			if s != "" {
				<-changed
			}
		}
		cancel()
		took = append(took, time.Since(answered))
	}
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

func joins(b *testing.B, base, email string) (id, token string) {
	b.Helper()
	body := fmt.Sprintf(`{"email":%q,"company_name":"Company","contact_name":"Contact","plan":"enterprise"}`, email)
	var doc struct {
		Data struct {
			Request struct {
				ID string `json:"id"`
			} `json:"request"`
			StatusToken string `json:"status_token"`
		} `json:"data"`
	}
	call(b, http.MethodPost, base+"/api/v1/onboarding", "", body, &doc)
	return doc.Data.Request.ID, doc.Data.StatusToken
}

func status(b *testing.B, base, token string) string {
	b.Helper()
	var doc struct {
		Data struct {
			Status string `json:"status"`
		} `json:"data"`
	}
	call(b, http.MethodGet, base+"/api/v1/status", token, "", &doc)
	return doc.Data.Status
}

func call(b *testing.B, method, url, token, body string, into any) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, url, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	if req.Header.Set("Content-Type", "application/json"); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	err = json.NewDecoder(res.Body).Decode(into)
	if err := errors.Join(err, res.Body.Close()); err != nil || res.StatusCode >= http.StatusBadRequest {
		b.Fatal(method, url, res.Status, err)
	}
}

// oneAutomaticPlan is the built-in catalog with nothing but the enterprise plan, which the hub works by itself.
func oneAutomaticPlan(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "catalog", "builtin"))); err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(dir, "plans.yaml")
	text, err := os.ReadFile(path) //nolint:gosec // the test's own
	if err != nil {
		b.Fatal(err)
	}
	_, enterprise, ok := strings.Cut(string(text), "  - id: enterprise\n")
	if !ok {
		b.Fatal("there is no plan enterprise")
	}
	plans := "plans:\n  - id: enterprise\n" + strings.Replace(enterprise, "provisioning: operator", "provisioning: automatic", 1)
	if err := os.WriteFile(path, []byte(plans), 0o600); err != nil {
		b.Fatal(err)
	}
	return dir
}
