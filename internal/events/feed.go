package events

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kitshub/kitshub/internal/queue"
)

// LineChannel is where a hub's transactions tell of changes of the line: the payload is a JSON array of queue.Change, or an Echo.
const LineChannel = "kitshub_line"

// echoEvery is how often a hub hears itself: what committed before an echo was sent has been heard when it comes back, since Postgres
// delivers notifications in the order of commits.
const echoEvery = time.Second

// LineListener is told what the feed hears. *hub.Service is one.
type LineListener interface {
	LineChanges([]queue.Change)
	LineHeard(time.Time)
	LineLost()
}

// Feed hears the changes of the line that the hubs on one Postgres commit. Unlike the Bridge's notices these are sent by the transaction
// itself, so exactly what committed is heard, in the order of commits, as long as the connection holds; when it broke, the listener is told
// that something may be missing, after the new connection listens.
type Feed struct {
	pool *pgxpool.Pool
	to   LineListener
	log  *slog.Logger

	cancel  context.CancelFunc
	running sync.WaitGroup
}

// NewFeed makes a feed; it does nothing until Start.
func NewFeed(pool *pgxpool.Pool, to LineListener, log *slog.Logger) *Feed {
	return &Feed{pool: pool, to: to, log: log}
}

// Start begins to listen; it does not wait for the connection. Until it listens the listener's index is not fed, and knows by the missing
// echo.
func (f *Feed) Start(ctx context.Context) {
	ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	f.running.Go(func() { f.keep(ctx) })
}

// Stop ends it.
func (f *Feed) Stop() {
	f.cancel()
	f.running.Wait()
}

func (f *Feed) keep(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		err := f.hear(ctx)
		if ctx.Err() != nil {
			return
		}
		f.log.WarnContext(ctx, "the line's changes are not heard for a moment; places come from the database", "error", err)
		if time.Since(began) > echoEvery { // it held for a while: at once again; who is refused pauses
			continue
		}
		t := time.NewTimer(echoEvery)
		select {
		case <-ctx.Done():
			t.Stop()
		case <-t.C:
		}
	}
}

// echo is a hub's own voice with the database's time at which it spoke.
type echo struct {
	From string `json:"echo"`
	At   string `json:"at"`
}

// hear listens on a connection of its own until it breaks, and speaks on it once a second.
func (f *Feed) hear(ctx context.Context) error {
	pc, err := f.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	conn := pc.Hijack() // it must not go back to the pool while it listens
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN "+LineChannel); err != nil {
		return err
	}
	f.to.LineLost() // what committed before this moment was not heard: the index is built anew, and from here on nothing is missed
	for {
		if err := f.speak(ctx, conn); err != nil {
			return err
		}
		until, cancel := context.WithTimeout(ctx, echoEvery)
		err := f.listen(until, conn)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if conn.IsClosed() {
			return err
		}
	}
}

func (f *Feed) speak(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, 3*echoEvery)
	defer cancel()
	_, err := conn.Exec(ctx, `SELECT pg_notify($1, json_build_object('echo', $2::text, 'at',
		to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::text)`, LineChannel, echoFrom(conn))
	return err
}

func (f *Feed) listen(ctx context.Context, conn *pgx.Conn) error {
	me := echoFrom(conn)
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if len(n.Payload) > 0 && n.Payload[0] == '{' {
			var e echo
			if err := json.Unmarshal([]byte(n.Payload), &e); err != nil || e.From != me {
				continue // another hub's echo
			}
			if at, err := time.Parse(time.RFC3339Nano, e.At); err == nil {
				f.to.LineHeard(at)
			}
			continue
		}
		var changes []queue.Change
		if err := json.Unmarshal([]byte(n.Payload), &changes); err != nil {
			f.log.ErrorContext(ctx, "a change of the line cannot be read; the line is read anew", "error", err)
			f.to.LineLost()
			continue
		}
		f.to.LineChanges(changes)
	}
}

// echoFrom names the session, so that a hub knows its own echo.
func echoFrom(conn *pgx.Conn) string { return strconv.FormatUint(uint64(conn.PgConn().PID()), 10) }
