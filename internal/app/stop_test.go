package app

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/config"
	"github.com/kitshub/kitshub/internal/hub"
)

// TestStopEndsWorkWhileCallsAreOpen: a client that is slow with its sign-up keeps a hub that stops from nothing: its jobs end at once. The call
// is answered all the same, and the next start makes what it asked for.
func TestStopEndsWorkWhileCallsAreOpen(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load([]string{"DATA_DIR=" + t.TempDir(), "LISTEN_ADDR=" + addr})
	if err != nil {
		t.Fatal(err)
	}
	log := &awaited{text: []byte("no job runs any more"), seen: make(chan struct{})}
	_, stop := serving(t, cfg, slog.NewTextHandler(log, nil))

	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	body := `{"email":"a@example.com","company_name":"A","contact_name":"B","plan":"starter"}`
	if _, err := fmt.Fprintf(conn, "POST /api/v1/onboarding HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n", addr, len(body)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") { // the handler asks for the body: it is in flight
		t.Fatal(line, err)
	}
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { stop(); close(ended) }()
	select {
	case <-log.seen:
	case <-ended:
		t.Fatal("it ended under an open call")
	}
	if _, err := conn.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusCreated {
		t.Fatal(res.Status)
	}
	<-ended

	a, _ := serving(t, cfg, slog.DiscardHandler)
	made, err := a.Service.ListRequests(t.Context(), hub.RequestFilter{Limit: 10}, false)
	if err != nil || len(made) != 1 {
		t.Fatal(made, err)
	}
	reaches(t, a, made[0].ID, hub.Completed)
}

// awaited is a log that tells when a text is written to it.
type awaited struct {
	text []byte
	seen chan struct{}
	once sync.Once
}

// Write never fails.
func (a *awaited) Write(p []byte) (int, error) {
	if bytes.Contains(p, a.text) {
		a.once.Do(func() { close(a.seen) })
	}
	return len(p), nil
}
