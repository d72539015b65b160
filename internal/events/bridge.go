package events

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// channel is the Postgres channel all hubs of one database listen on.
const channel = "kitshub_events"

const (
	maxPayload = 7900            // Postgres takes 7,999 bytes
	everything = "*"             // a payload that stands for all topics
	reconnect  = time.Second     // pause before a lost connection is made again
	sendTime   = 5 * time.Second // a notification that takes longer is dropped: watchers look by themselves
)

// Bridge carries topics between the hubs of one Postgres database by LISTEN/NOTIFY. Topics of many changes go out in one notification.
type Bridge struct {
	bus  *Bus
	pool *pgxpool.Pool
	log  *slog.Logger

	mu      sync.Mutex
	waiting map[string]struct{}
	wake    chan struct{}

	stop context.CancelFunc
	done sync.WaitGroup
}

// NewBridge makes a bridge; it does nothing until Start.
func NewBridge(bus *Bus, pool *pgxpool.Pool, log *slog.Logger) *Bridge {
	return &Bridge{bus: bus, pool: pool, log: log, waiting: map[string]struct{}{}, wake: make(chan struct{}, 1)}
}

// Start begins to listen and to send. It does not wait for the connection.
func (b *Bridge) Start(ctx context.Context) error {
	ctx, b.stop = context.WithCancel(context.WithoutCancel(ctx))
	b.bus.mu.Lock()
	b.bus.forward = b.enqueue
	b.bus.mu.Unlock()
	b.done.Go(func() { b.send(ctx) })
	b.done.Go(func() { b.listen(ctx) })
	return nil
}

// Stop ends both; what was not sent is dropped.
func (b *Bridge) Stop() {
	if b.stop == nil {
		return
	}
	b.bus.mu.Lock()
	b.bus.forward = nil
	b.bus.mu.Unlock()
	b.stop()
	b.done.Wait()
}

func (b *Bridge) enqueue(topics []string) {
	b.mu.Lock()
	for _, t := range topics {
		b.waiting[t] = struct{}{}
	}
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *Bridge) payload() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var s strings.Builder
	for t := range b.waiting {
		if s.Len() > 0 {
			s.WriteByte('\n')
		}
		s.WriteString(t)
	}
	clear(b.waiting)
	if s.Len() > maxPayload {
		return everything
	}
	return s.String()
}

func (b *Bridge) send(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
		}
		p := b.payload()
		if p == "" {
			continue
		}
		sctx, cancel := context.WithTimeout(ctx, sendTime)
		_, err := b.pool.Exec(sctx, "SELECT pg_notify($1, $2)", channel, p)
		cancel()
		if err != nil && ctx.Err() == nil {
			b.log.WarnContext(ctx, "other hubs were not told of a change; their watchers will see it at their next look", "error", err)
		}
	}
}

func (b *Bridge) listen(ctx context.Context) {
	for ctx.Err() == nil {
		err := b.hear(ctx)
		if ctx.Err() != nil {
			return
		}
		b.log.WarnContext(ctx, "not listening to the other hubs for a moment", "error", err)
		t := time.NewTimer(reconnect)
		select {
		case <-ctx.Done():
			t.Stop()
		case <-t.C:
		}
	}
}

// hear listens on a connection of its own until it breaks.
func (b *Bridge) hear(ctx context.Context) error {
	pc, err := b.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	conn := pc.Hijack() // it must not go back to the pool still listening
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	b.bus.all() // whatever was said before this moment was not heard
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if n.Payload == everything {
			b.bus.all()
		} else {
			b.bus.local(strings.Split(n.Payload, "\n"))
		}
	}
}
