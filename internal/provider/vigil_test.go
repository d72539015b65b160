//go:build unix

package provider_test

import (
	"context"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/provider"
	"github.com/kitshub/kitshub/internal/testkit/pgserver"
)

// A server that is stopped in the middle holds up nobody for long; one that only takes its time is waited for.
func TestASilentServerIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	server, err := pgserver.Start(t.Context(), pgserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	cfg, err := pgx.ParseConfig(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	var dialer net.Dialer
	cfg.DialFunc = provider.Vigil{Dial: dialer.DialContext, Patience: 50 * time.Millisecond, Answer: 2 * time.Second}.DialContext
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	var postmaster int
	if err := conn.QueryRow(t.Context(), `SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)::int FROM pg_sleep(1)`).Scan(&postmaster); err != nil {
		t.Fatalf("a slow statement, asked after many times: %v", err)
	}
	if err := syscall.Kill(postmaster, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Kill(postmaster, syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	}()
	begun := time.Now()
	_, err = conn.Exec(t.Context(), `SELECT pg_sleep(600)`)
	if err == nil {
		t.Fatal("it answers")
	}
	if class, _ := provider.ClassifyPostgres(err); class != hub.ClassNetwork || !strings.Contains(err.Error(), "fallen silent") {
		t.Errorf("%s: %v", class, err)
	}
	if waited := time.Since(begun); waited > time.Minute {
		t.Errorf("it was waited for %s", waited)
	}
	if log := server.Log(); strings.Contains(log, "startup packet") {
		t.Errorf("the server complains of being asked: %s", log)
	}
}
