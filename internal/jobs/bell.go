package jobs

import (
	"context"
	"sync"

	"github.com/riverqueue/river/riverdriver"
)

// topicInsert is where River's producers hear of new jobs. River keeps the name to itself; the tests fail if it changes.
const topicInsert = "river_insert"

// bell wakes the producers of this process. Rings of one queue that were not heard yet are one ring; none is lost.
type bell struct {
	mu      sync.Mutex
	rung    map[string]bool
	waiting chan struct{}
}

func newBell() *bell { return &bell{rung: map[string]bool{}, waiting: make(chan struct{}, 1)} }

func (b *bell) ring(queue string) {
	b.mu.Lock()
	b.rung[queue] = true
	b.mu.Unlock()
	select {
	case b.waiting <- struct{}{}:
	default:
	}
}

// next waits for a ring.
func (b *bell) next(ctx context.Context) (queue string, err error) {
	for {
		if q, ok := b.take(); ok {
			return q, nil
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-b.waiting:
		}
	}
}

func (b *bell) take() (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for q := range b.rung {
		delete(b.rung, q)
		return q, true
	}
	return "", false
}

// bellListener is River's view of the bell. It has no connection, so nothing of it can fail.
type bellListener struct {
	bell   *bell
	schema string
}

func (l *bellListener) WaitForNotification(ctx context.Context) (*riverdriver.Notification, error) {
	queue, err := l.bell.next(ctx)
	if err != nil {
		return nil, err
	}
	return &riverdriver.Notification{Topic: topicInsert, Payload: insertPayload(queue)}, nil
}

func (l *bellListener) Close(context.Context) error            { return nil }
func (l *bellListener) Connect(context.Context) error          { return nil }
func (l *bellListener) Listen(context.Context, string) error   { return nil }
func (l *bellListener) Unlisten(context.Context, string) error { return nil }
func (l *bellListener) Ping(context.Context) error             { return nil }
func (l *bellListener) Schema() string                         { return l.schema }
func (l *bellListener) SetAfterConnectExec(string)             {}

// insertPayload is what a producer expects to hear; our queue names need no escaping.
func insertPayload(queue string) string { return `{"queue": "` + queue + `"}` }
