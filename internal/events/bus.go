package events

import (
	"sync"
	"sync/atomic"
)

// Bus implements hub.Events within one process. It is safe for concurrent use; publishing never waits for a watcher.
type Bus struct {
	mu     sync.RWMutex
	topics map[string]*topic

	// forward tells other processes; set while a Bridge runs.
	forward atomic.Pointer[func(topics []string)]
}

// topic keeps its watchers in a slice, each knowing its place, so that telling ten thousand is one walk over memory and leaving is a swap.
type topic struct{ watchers []*watcher }

type watcher struct {
	changed func()
	at      int // -1: it left
}

// New makes a bus.
func New() *Bus { return &Bus{topics: map[string]*topic{}} }

// Publish signals the watchers of the topics, here and in the other processes.
func (b *Bus) Publish(topics ...string) {
	b.signal(topics)
	if f := b.forward.Load(); f != nil {
		(*f)(topics)
	}
}

// signal tells the watchers of this process. No watcher leaves or comes meanwhile.
func (b *Bus) signal(topics []string) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, name := range topics {
		if t := b.topics[name]; t != nil {
			t.signal()
		}
	}
}

// signalAll tells every watcher: nobody knows what was missed.
func (b *Bus) signalAll() {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, t := range b.topics {
		t.signal()
	}
}

func (t *topic) signal() {
	for _, w := range t.watchers {
		w.changed()
	}
}

// Subscribe has changed called after each change of the topic, by whoever publishes; it must return at once and may neither publish nor
// subscribe. cancel ends the subscription and may be called more than once; a call of changed that is under way may outlast it.
func (b *Bus) Subscribe(name string, changed func()) (cancel func()) {
	w := &watcher{changed: changed}
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topics[name]
	if t == nil {
		t = &topic{}
		b.topics[name] = t
	}
	w.at = len(t.watchers)
	t.watchers = append(t.watchers, w)
	return func() { b.leave(name, t, w) }
}

func (b *Bus) leave(name string, t *topic, w *watcher) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.at < 0 {
		return
	}
	last := len(t.watchers) - 1
	t.watchers[last].at = w.at
	t.watchers[w.at] = t.watchers[last]
	t.watchers[last] = nil
	t.watchers = t.watchers[:last]
	w.at = -1
	if last == 0 {
		delete(b.topics, name) // there is one topic for each request, so empty ones must go
	}
}
