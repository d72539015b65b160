package app

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/config"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/testkit/pgserver"
)

// TestAClusterThatComesBack: a sign-up while the tenants' cluster is away fails and says when the hub tries again; the hub is restarted, the
// cluster comes back, and the request completes by itself. Nobody is told of a failure.
func TestAClusterThatComesBack(t *testing.T) {
	server, err := pgserver.Start(t.Context(), pgserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	cfg, err := config.Load([]string{
		"DATA_DIR=" + t.TempDir(), "LISTEN_ADDR=127.0.0.1:0", "TENANT_DATABASE_URL=" + server.URL, "TENANT_POOL_SIZE=0", "RATE_LIMITS=off",
	})
	if err != nil {
		t.Fatal(err)
	}
	a, stop := serving(t, cfg, slog.DiscardHandler)
	if err := server.Halt(pgserver.Fast); err != nil {
		t.Fatal(err)
	}
	s, err := a.Service.SignUp(t.Context(), hub.SignUp{Email: "a@example.com", CompanyName: "A", ContactName: "B", Plan: "starter"})
	if err != nil {
		t.Fatal(err)
	}
	failed := reaches(t, a, s.Request.ID, hub.Failed)
	// ECONNREFUSED, or 57P01 where a connection from before the halt is the first to be used and holds the server's farewell.
	if f := failed.Failure; f.RetryAt == nil || f.Class != hub.ClassNetwork || f.Code != "ECONNREFUSED" && f.Code != "57P01" {
		t.Fatalf("%+v", f)
	}
	stop()
	if err := server.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	a, _ = serving(t, cfg, slog.DiscardHandler)
	done := reaches(t, a, s.Request.ID, hub.Completed)
	if done.Failure != nil {
		t.Errorf("completed, but %+v", done.Failure)
	}
	entries, err := a.Service.Audit(t.Context(), s.Request.ID, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	retried := false
	for _, e := range entries {
		retried = retried || e.Action == "request.retry" && e.ActorKind == hub.ByHub
	}
	if !retried {
		t.Error("the retry is not on record as the hub's own")
	}
	mails, err := filepath.Glob(filepath.Join(cfg.MailDir(), "*.eml"))
	if err != nil || len(mails) == 0 {
		t.Fatal(mails, err)
	}
	for _, m := range mails {
		if text, err := os.ReadFile(m); err != nil || strings.Contains(string(text), "takes a little longer") {
			t.Errorf("%s tells of a failure, or %v", m, err)
		}
	}
}

// serving runs a hub until stop is called or the test ends.
func serving(t *testing.T, cfg *config.Config, log slog.Handler) (a *App, stop func()) {
	t.Helper()
	a, err := New(t.Context(), cfg, slog.New(log), "test")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	listening, over := make(chan struct{}), make(chan error, 1)
	go func() { over <- a.Run(ctx, func(net.Addr, string) { close(listening) }) }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	select {
	case <-listening:
	case err := <-over:
		t.Fatal(err)
	}
	return a, stop
}

// reaches waits until the request is in the state.
func reaches(t *testing.T, a *App, id string, want hub.State) hub.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // the first retries come within half of it on a quiet machine
	defer cancel()
	changed := make(chan struct{}, 1)
	defer a.Service.Subscribe(id, func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})()
	for {
		st, err := a.Service.StatusByID(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if st.Request.State == want {
			return st.Request
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("still %s, not %s: %+v", st.Request.State, want, st.Request.Failure)
		}
	}
}
