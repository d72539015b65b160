package events

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	mrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// channel is where the hubs on one database tell one another.
const channel = "kitshub_events"

// Bounds of what the bridge keeps and waits for.
const (
	maxPayload  = 7900   // Postgres refuses 8000 bytes
	maxPending  = 10_000 // topics not sent yet: enough for a second of a hub under load
	sendTimeout = 2 * time.Second
	sendAgain   = 500 * time.Millisecond

	connectTimeout = 5 * time.Second
	pingEvery      = 15 * time.Second // finds a connection that went silent
	firstPause     = 100 * time.Millisecond
	longestPause   = 5 * time.Second
)

// message is one payload.
type message struct {
	From   string   `json:"f"` // so that a hub passes over its own
	Topics []string `json:"t"`
}

// Bridge joins the buses of the hubs on one Postgres by LISTEN and NOTIFY. Changes that are published while one notice is under way go with
// the next, so a busy hub sends few.
type Bridge struct {
	bus  *Bus
	pool *pgxpool.Pool
	log  *slog.Logger
	me   string

	mu      sync.Mutex // guards pending and cancel
	pending map[string]struct{}
	wake    chan struct{}
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// NewBridge makes a bridge; it does nothing until Start. It sends through the pool and listens on a connection of its own.
func NewBridge(bus *Bus, pool *pgxpool.Pool, log *slog.Logger) *Bridge {
	return &Bridge{bus: bus, pool: pool, log: log, me: rand.Text(), pending: map[string]struct{}{}, wake: make(chan struct{}, 1)}
}

// Start begins to listen and to tell. It waits for the first connection, so that nothing published elsewhere after it is missed; if there is
// none now, the bridge keeps trying, since the hub works without it. ctx is for starting only; Stop ends the bridge.
//
// Errors: only for a bridge that is already started.
func (b *Bridge) Start(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cancel != nil {
		return errors.New("events: the bridge is already started")
	}
	conn, err := b.listen(ctx)
	if err != nil {
		b.log.WarnContext(ctx, "changes made by other hubs show up late until their notices can be heard", "error", err)
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	b.cancel = cancel
	b.running.Go(func() { b.hear(run, conn) })
	b.running.Go(func() { b.tell(run) })
	forward := b.forward
	b.bus.forward.Store(&forward)
	return nil
}

// Stop sends what is pending and ends the bridge. It may be called without Start and more than once.
func (b *Bridge) Stop() {
	b.bus.forward.Store(nil)
	b.mu.Lock()
	cancel := b.cancel
	b.cancel = nil
	b.mu.Unlock()
	if cancel != nil {
		cancel()
		b.running.Wait()
	}
}

// forward takes topics to be sent; it never waits.
func (b *Bridge) forward(topics []string) {
	b.mu.Lock()
	for _, t := range topics {
		if len(b.pending) < maxPending && len(t) < maxPayload/2 { // more is dropped: watchers elsewhere read again by themselves
			b.pending[t] = struct{}{}
		}
	}
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// tell sends what is pending, one batch after another, and once more at the end.
func (b *Bridge) tell(ctx context.Context) {
	var said time.Time
	for ending := false; !ending; {
		select {
		case <-ctx.Done():
			ending = true
		case <-b.wake:
		}
		err := b.send(ctx)
		if err == nil || ending {
			continue
		}
		if time.Since(said) > time.Minute {
			said = time.Now()
			b.log.WarnContext(ctx, "notices to other hubs were not sent; they see the changes a little later", "error", err)
		}
		timer := time.NewTimer(sendAgain)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// send sends what is pending, also when ctx has ended: the last changes of a hub that stops are worth the moment. What could not be sent is
// pending again.
func (b *Bridge) send(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
	defer cancel()
	b.mu.Lock()
	topics := make([]string, 0, len(b.pending))
	for t := range b.pending {
		topics = append(topics, t)
	}
	clear(b.pending)
	b.mu.Unlock()
	if len(topics) == 0 {
		return nil
	}
	batch := &pgx.Batch{}
	for _, p := range payloads(b.me, topics) {
		batch.Queue("SELECT pg_notify($1, $2)", channel, p)
	}
	err := b.pool.SendBatch(ctx, batch).Close()
	if err != nil {
		b.forward(topics)
	}
	return err
}

// payloads packs topics into as few messages as fit.
func payloads(from string, topics []string) []string {
	slices.Sort(topics)
	var out []string
	for len(topics) > 0 {
		n, size := 0, len(from)+len(`{"f":"","t":[]}`)
		for n < len(topics) {
			quoted, _ := json.Marshal(topics[n]) //nolint:errchkjson // a string always has a JSON form
			if size += len(quoted) + 1; size > maxPayload && n > 0 {
				break
			}
			n++
		}
		text, _ := json.Marshal(message{From: from, Topics: topics[:n]}) //nolint:errchkjson // likewise
		out = append(out, string(text))
		topics = topics[n:]
	}
	return out
}

// listen opens the connection and begins to listen.
func (b *Bridge) listen(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	cfg := b.pool.Config().ConnConfig.Copy()
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn, nil
}

// hear publishes what other hubs tell, over as many connections as it takes.
func (b *Bridge) hear(ctx context.Context, conn *pgx.Conn) {
	lost, pause := conn == nil, firstPause
	for {
		if conn != nil {
			if lost { // whatever was told meanwhile is unknown
				b.bus.signalAll()
				b.log.InfoContext(ctx, "notices of other hubs are heard again")
			}
			lost, pause = true, firstPause
			err := b.receive(ctx, conn)
			closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			_ = conn.Close(closing) // it is broken or not needed any more
			cancel()
			if ctx.Err() != nil {
				return
			}
			b.log.WarnContext(ctx, "the connection for notices of other hubs is lost; trying again", "error", err)
		}
		timer := time.NewTimer(pause/2 + mrand.N(pause)) //nolint:gosec // jitter needs no secrecy
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		pause = min(2*pause, longestPause)
		conn, _ = b.listen(ctx) // tried again and again; the loss was logged
	}
}

// receive publishes notices until the connection ends.
func (b *Bridge) receive(ctx context.Context, conn *pgx.Conn) error {
	for {
		wait, cancel := context.WithTimeout(ctx, pingEvery)
		n, err := conn.WaitForNotification(wait)
		quiet := wait.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err == nil:
			b.publish(ctx, n.Payload)
		case quiet && !conn.IsClosed():
			ping, cancel := context.WithTimeout(ctx, connectTimeout)
			err := conn.Ping(ping)
			cancel()
			if err != nil {
				return err
			}
		default:
			return err
		}
	}
}

func (b *Bridge) publish(ctx context.Context, payload string) {
	var m message
	if err := json.Unmarshal([]byte(payload), &m); err != nil {
		b.log.WarnContext(ctx, "a notice that is none of ours", "channel", channel, "error", err)
		return
	}
	if m.From != b.me {
		b.bus.signal(m.Topics)
	}
}
