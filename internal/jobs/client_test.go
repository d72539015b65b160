package jobs

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/riverqueue/river/rivertype"

	"github.com/kitshub/kitshub/internal/hub"
)

// A hub says that it lives before it works, and looks for dead ones before Start returns.
func TestStartBeatsThenReaps(t *testing.T) {
	onEngines(t, func(t *testing.T, r *rig) {
		calls := make(chan string, 2) // only the first two: later ones come from two loops, in any order
		called := func(what string) error {
			select {
			case calls <- what:
			default:
			}
			return nil
		}
		c := newTest(t, r.options("a"), quick, &worker{
			beat:      func() error { return called("beat") },
			reap:      func() error { return called("reap") },
			provision: func(context.Context, string) error { return nil },
		})
		noError(t, c.Start(t.Context()))
		if got := receive(t, calls, "a beat") + " " + receive(t, calls, "a look for the dead"); got != "beat reap" {
			t.Errorf("called %s", got)
		}
		noError(t, c.Stop(t.Context()))
	})
}

func TestStartNeedsABeat(t *testing.T) {
	r := sqliteRig(t)
	down := errors.New("the database is down")
	c := newTest(t, r.options("a"), quick, &worker{beat: func() error { return down }})
	if err := c.Start(t.Context()); !errors.Is(err, down) {
		t.Errorf("Start: %v, want %v", err, down)
	}
	noError(t, c.Stop(t.Context()))
}

// Each loop ends with Stop (TestMain looks for leaks), however quickly that follows.
func TestManyQuickStartsAndStops(t *testing.T) {
	onEngines(t, func(t *testing.T, r *rig) {
		ran := make(chan string, 1)
		c := newTest(t, r.options("a"), quick, &worker{provision: func(_ context.Context, id string) error { ran <- id; return nil }})
		for range 50 {
			noError(t, c.Start(t.Context()))
			noError(t, c.Stop(t.Context()))
		}
		start(t, c)
		r.commit(t, func(tx hub.Tx) { noError(t, c.EnqueueProvision(t.Context(), tx, key(1))) })
		receive(t, ran, "a job after so many starts")
	})
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	r := sqliteRig(t)
	for name, spoil := range map[string]func(*Options){
		"engine":   func(o *Options) { o.SQLite = nil },
		"workers":  func(o *Options) { o.Workers = 0 },
		"instance": func(o *Options) { o.Instance = "" },
		"logger":   func(o *Options) { o.Log = nil },
	} {
		o := r.options("a")
		spoil(&o)
		if _, err := New(o); err == nil {
			t.Errorf("New without a good %s went well", name)
		}
	}
	c, err := New(r.options("a"))
	noError(t, err)
	if err := c.Start(t.Context()); err == nil {
		t.Error("Start without a handler went well")
	}
	if err := c.EnqueueCleanup(t.Context(), hub.Tx(nil), "ten_1"); err == nil {
		t.Error("enqueueing in no transaction went well")
	}
}

// Migrating twice changes nothing.
func TestMigrateAgain(t *testing.T) {
	onEngines(t, func(t *testing.T, r *rig) {
		noError(t, newTest(t, r.options("a"), quick, nil).Migrate(t.Context()))
	})
}

// The view lets River write in the hub's transaction, and end only what it began itself.
func TestTheViewOfATransaction(t *testing.T) {
	r := postgresRig(t)
	ctx := t.Context()
	s := r.begin(ctx, t)
	defer s.close(t)
	raw := func(fn func(v *txView)) {
		t.Helper()
		noError(t, s.conn.Raw(func(dc any) error { fn(&txView{conn: dc.(*stdlib.Conn).Conn()}); return nil }))
	}
	raw(func(v *txView) {
		if err := v.Commit(ctx); !errors.Is(err, errNotOurs) {
			t.Errorf("Commit: %v", err)
		}
		if err := v.Rollback(ctx); !errors.Is(err, errNotOurs) {
			t.Errorf("Rollback: %v", err)
		}
		insert := func(tx pgx.Tx, id string) error {
			_, err := tx.Exec(ctx, "INSERT INTO thing (id) VALUES ($1)", id)
			return err
		}
		outer, err := v.Begin(ctx)
		noError(t, err)
		noError(t, insert(outer, "kept"))
		inner, err := outer.Begin(ctx)
		noError(t, err)
		noError(t, insert(inner, "undone"))
		if err := insert(inner, "kept"); err == nil {
			t.Error("a double went in")
		}
		noError(t, inner.Rollback(ctx))
		if err := insert(inner, "late"); !errors.Is(err, errTxIsOver) {
			t.Errorf("after the rollback: %v", err)
		}
		if err := inner.Rollback(ctx); !errors.Is(err, pgx.ErrTxClosed) {
			t.Errorf("a second rollback: %v", err)
		}
		noError(t, outer.Commit(ctx))
	})
	noError(t, s.tx.Commit())
	if n := r.count(t, "SELECT count(*) FROM thing"); n != 1 {
		t.Errorf("%d rows, want the one that was kept", n)
	}
	raw(func(v *txView) {
		if err := v.QueryRow(ctx, "SELECT 1").Scan(new(int)); !errors.Is(err, errTxIsOver) {
			t.Errorf("after the commit: %v", err)
		}
		if _, err := v.Exec(ctx, "SELECT 1"); !errors.Is(err, errTxIsOver) {
			t.Errorf("after the commit: %v", err)
		}
	})
}

func TestPausesGrowToACap(t *testing.T) {
	for kind, want := range map[string]struct{ second, last, all time.Duration }{
		"provision": {2 * time.Second, time.Minute, 6 * 24 * time.Hour},
		"cleanup":   {2 * time.Second, 5 * time.Minute, 8 * 24 * time.Hour},
		"mail":      {10 * time.Second, 30 * time.Minute, 4 * 24 * time.Hour},
	} {
		p := pauses[kind]
		attempts := map[string]int{"provision": provisionAttempts, "cleanup": cleanupAttempts, "mail": mailAttempts}[kind]
		var all time.Duration
		for i := 1; i < attempts; i++ {
			all += p.after(i)
		}
		if p.after(2) != want.second || p.after(attempts) != want.last || all < want.all {
			t.Errorf("%s: second pause %s, last %s, all together %s", kind, p.after(2), p.after(attempts), all)
		}
	}
	row := &rivertype.JobRow{Kind: "mail", Errors: make([]rivertype.AttemptError, 3)}
	if d := time.Until(pauses.NextRetry(row)); d < 39*time.Second || d > 45*time.Second {
		t.Errorf("the fourth failure of a mail waits %s, want 40 s and a tenth at most", d)
	}
}

// A duty that fails is said once, and again when it works; a panic ends nothing.
func TestALoopSurvivesItsCalls(t *testing.T) {
	var log book
	var n atomic.Int32
	called := make(chan int32, 100)
	l := &loop{name: "beat", every: time.Millisecond, timeout: time.Second, log: slog.New(slog.NewTextHandler(&log, nil)), run: func(context.Context) error {
		i := n.Add(1)
		defer func() { called <- i }()
		switch {
		case i == 1:
			panic("a bug")
		case i <= 3:
			return errors.New("still down")
		}
		return nil
	}}
	l.start(t.Context())
	for i := int32(0); i < 5; {
		i = receive(t, called, "a call")
	}
	l.stop()
	text := log.String()
	if strings.Count(text, "fails") != 1 || !strings.Contains(text, "panic: a bug") || !strings.Contains(text, "works again") || !strings.Contains(text, "failures=3") {
		t.Errorf("the log:\n%s", text)
	}
}
