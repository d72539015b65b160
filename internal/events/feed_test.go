package events_test

import (
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kitshub/kitshub/internal/events"
	"github.com/kitshub/kitshub/internal/queue"
	"github.com/kitshub/kitshub/internal/testkit"
)

// ear hears what the feed says.
type ear struct {
	changes chan []queue.Change
	heard   chan time.Time
	lost    chan struct{}
}

func (e ear) LineChanges(c []queue.Change) { e.changes <- c }
func (e ear) LineHeard(t time.Time) {
	select {
	case e.heard <- t:
	default:
	}
}
func (e ear) LineLost() { e.lost <- struct{}{} }

// wait fails the test if nothing comes in a time that is long for anything here.
func wait[T any](t *testing.T, what string, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(20 * time.Second):
		t.Fatal(what + " did not come")
	}
	return v
}

// TestFeed: what commits is heard and what is rolled back is not; the echo comes; a cut connection is told and heard again.
func TestFeed(t *testing.T) {
	pool, err := pgxpool.New(t.Context(), testkit.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	e := ear{make(chan []queue.Change, 10), make(chan time.Time, 1), make(chan struct{}, 10)}
	f := events.NewFeed(pool, e, slog.New(slog.DiscardHandler))
	f.Start(t.Context())
	defer f.Stop()
	wait(t, "the word that it listens", e.lost)
	before := wait(t, "an echo", e.heard)

	say := func(id string, commit bool) {
		t.Helper()
		payload, err := json.Marshal([]queue.Change{{ID: id, Version: 3, Pending: true, Key: queue.Key{Priority: 2, EnqueuedAt: 5}, Way: queue.Operator}})
		if err != nil {
			t.Fatal(err)
		}
		tx, err := pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), "SELECT pg_notify($1, $2)", events.LineChannel, string(payload)); err != nil {
			t.Fatal(err)
		}
		if commit {
			err = tx.Commit(t.Context())
		} else {
			err = tx.Rollback(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	say("rolled back", false)
	say("committed", true)
	if got := wait(t, "a change", e.changes); len(got) != 1 || got[0].ID != "committed" || got[0].Version != 3 || got[0].Key.Priority != 2 || got[0].Way != queue.Operator {
		t.Fatalf("heard %+v", got)
	}
	if after := wait(t, "the next echo", e.heard); !after.After(before) {
		t.Errorf("the echo says %v after %v", after, before)
	}

	cut(t, pool)
	wait(t, "the word that something may be missing", e.lost)
	say("after the cut", true)
	if got := wait(t, "a change after the cut", e.changes); got[0].ID != "after the cut" {
		t.Fatalf("heard %+v", got)
	}
}

// cut ends the session that listens.
func cut(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	var n int
	err := pool.QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%pg_notify%echo%'`).Scan(&n)
	if err != nil || n == 0 {
		t.Fatalf("ended %d sessions: %v", n, err)
	}
}
