package app_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/kitshub/kitshub/internal/app"
	"github.com/kitshub/kitshub/internal/config"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/testkit"
)

// A hub that is told to stop ends the streams of API and pages properly, and has logged and counted them when it is gone, though its server
// does not know their connections any more.
func TestStopEndsStreams(t *testing.T) {
	cfg, err := config.Load([]string{"DATA_DIR=" + t.TempDir(), "LISTEN_ADDR=127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	log := &testkit.Log{}
	a, err := app.New(t.Context(), cfg, slog.New(slog.NewJSONHandler(log, nil)), "test")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	addr, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- a.Run(ctx, func(at net.Addr, _ string) { addr <- at.String() }) }()
	var url string
	select {
	case at := <-addr:
		url = "http://" + at
	case err := <-ended:
		t.Fatal(err)
	}
	up, err := a.Service.SignUp(t.Context(), hub.SignUp{Email: "a@example.com", CompanyName: "A", ContactName: "B", Plan: "enterprise"})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	open := func(path, token string) io.Reader {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatal(res.Status, res.Header)
		}
		return res.Body
	}
	streams := []io.Reader{open("/api/v1/status/events", up.StatusToken), open("/status/"+up.StatusToken+"/events", "")}
	stop()
	for i, s := range streams {
		text, err := io.ReadAll(s)
		if err != nil || !strings.Contains(string(text), "\ndata: ") {
			t.Errorf("stream %d: %q, %v", i, text, err)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, route := range []string{"/api/v1/status/events", "/status/{token}/events"} {
		if n := strings.Count(log.String(), `"method":"GET","route":"`+route+`","status":200`); n != 1 {
			t.Errorf("%s was logged %d times: %s", route, n, log)
		}
	}
}
