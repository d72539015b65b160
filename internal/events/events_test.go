package events_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/events"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/testkit"
)

var _ hub.Events = (*events.Bus)(nil)

func TestMain(m *testing.M) { testkit.Main(m) }

const patience = 30 * time.Second

func signalled(t testing.TB, ch <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		t.Fatalf("%s was not signalled", what)
	}
}

func quiet(t testing.TB, ch <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-ch:
		t.Fatalf("%s was signalled", what)
	default:
	}
}

// watch gives a channel that is signalled after each change; changes while a signal waits are one signal.
func watch(b *events.Bus, topic string) (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	return ch, b.Subscribe(topic, func() {
		select {
		case ch <- struct{}{}:
		default:
		}
	})
}

func TestPublishReachesTheTopicsWatchers(t *testing.T) {
	b := events.New()
	one, cancelOne := watch(b, "req_1")
	again, cancelAgain := watch(b, "req_1")
	line, cancelLine := watch(b, hub.TopicLine)
	defer cancelLine()
	b.Publish("req_1", "req_1")
	signalled(t, one, "the first watcher")
	signalled(t, again, "the second watcher")
	quiet(t, one, "the first watcher, by a change that its first signal covers,")
	quiet(t, line, "the watcher of another topic")
	cancelOne()
	cancelOne()
	b.Publish("req_1", hub.TopicLine, "nobody's")
	quiet(t, one, "a watcher that left")
	signalled(t, again, "the one that stayed")
	signalled(t, line, "the line's watcher")
	cancelAgain()
	b.Publish("req_1")
	quiet(t, again, "the last one, having left,")
}

// No change after which a watcher reads goes unsignalled, whoever comes and goes meanwhile.
func TestNoChangeIsLost(t *testing.T) {
	b := events.New()
	var comers, writer sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		comers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				_, cancel := watch(b, "x")
				_, other := watch(b, "x")
				cancel()
				other()
			}
		})
	}
	ch, cancel := watch(b, "x")
	defer cancel()
	var mu sync.Mutex
	truth, last := 0, 2000
	writer.Go(func() {
		for range last {
			mu.Lock()
			truth++
			mu.Unlock()
			b.Publish("x")
		}
	})
	for seen := 0; seen < last; {
		signalled(t, ch, fmt.Sprintf("the watcher, having seen %d of %d,", seen, last))
		mu.Lock()
		seen = truth
		mu.Unlock()
	}
	close(stop)
	comers.Wait()
	writer.Wait()
}

// Publishing waits for nobody, also with ten thousand who do not look.
func BenchmarkPublishToTenThousand(b *testing.B) {
	bus := events.New()
	for range 10_000 {
		_, cancel := watch(bus, hub.TopicLine)
		defer cancel()
	}
	for b.Loop() {
		bus.Publish(hub.TopicLine)
	}
}

func BenchmarkSubscribeAmongTenThousand(b *testing.B) {
	bus := events.New()
	for range 10_000 {
		_, cancel := watch(bus, hub.TopicLine)
		defer cancel()
	}
	for b.Loop() {
		_, cancel := watch(bus, hub.TopicLine)
		cancel()
	}
}
