package events_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kitshub/kitshub/internal/events"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/testkit"
)

// replica is one hub's bus on the shared database.
func replica(t *testing.T, url string) (*events.Bus, *events.Bridge) {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.ConnConfig.RuntimeParams["application_name"] = "events-" + t.Name()
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	bus := events.New()
	bridge := events.NewBridge(bus, pool, slog.New(slog.DiscardHandler))
	if err := bridge.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bridge.Stop(); pool.Close() })
	return bus, bridge
}

func TestBridgeTellsTheOtherHubs(t *testing.T) {
	url := testkit.Postgres(t)
	here, _ := replica(t, url)
	there, _ := replica(t, url)
	mine, cancel := watch(here, "req_1")
	defer cancel()
	theirs, cancel := watch(there, "req_1")
	defer cancel()
	line, cancel := watch(there, hub.TopicLine)
	defer cancel()
	here.Publish("req_1")
	signalled(t, mine, "the watcher here")
	signalled(t, theirs, "the watcher there")
	quiet(t, line, "the watcher of another topic")
	there.Publish("req_1", hub.TopicLine)
	signalled(t, line, "the watcher where it was published")
	signalled(t, mine, "the watcher here, by the other hub,")
}

// A burst of more topics than fit into one notice arrives whole.
func TestBridgeTellsMany(t *testing.T) {
	url := testkit.Postgres(t)
	here, _ := replica(t, url)
	there, _ := replica(t, url)
	const n = 2000
	watched := make([]<-chan struct{}, n)
	topics := make([]string, n)
	for i := range n {
		topics[i] = fmt.Sprintf("req_%s_%04d", strings.Repeat("x", 22), i)
		ch, cancel := watch(there, topics[i])
		defer cancel()
		watched[i] = ch
	}
	here.Publish(topics...)
	for i, ch := range watched {
		signalled(t, ch, topics[i])
	}
}

// When its connection breaks the bridge comes back, and tells every watcher to look again.
func TestBridgeSurvivesItsConnection(t *testing.T) {
	url := testkit.Postgres(t)
	here, _ := replica(t, url)
	there, _ := replica(t, url)
	line, cancel := watch(there, hub.TopicLine)
	defer cancel()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var killed int
	err = pool.QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name LIKE 'events-%' AND pid <> pg_backend_pid()`).Scan(&killed)
	if err != nil || killed < 2 {
		t.Fatalf("%d connections were broken: %v", killed, err)
	}
	signalled(t, line, "a watcher after the connection came back") // nothing was published
	other, cancel := watch(here, "req_9")
	defer cancel()
	there.Publish("req_9")
	signalled(t, other, "the other way, by notice or by coming back,")
}

func TestBridgeManyStartsAndStops(t *testing.T) {
	url := testkit.Postgres(t)
	there, _ := replica(t, url)
	ch, cancel := watch(there, "x")
	defer cancel()
	here, bridge := replica(t, url)
	if err := bridge.Start(t.Context()); err == nil {
		t.Error("a second start went well")
	}
	for range 50 {
		bridge.Stop()
		bridge.Stop()
		if err := bridge.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	warm, forget := watch(there, "warm")
	defer forget()
	here.Publish("warm") // the first message waits for a connection, for which a stop has no time
	signalled(t, warm, "the other hub, the first time,")
	here.Publish("x")
	bridge.Stop() // sends what is pending
	signalled(t, ch, "the other hub")
}
