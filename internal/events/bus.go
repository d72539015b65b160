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

// topic keeps its watchers in a slice, each knowing its place, so that signalling ten thousand is one walk over memory and leaving is a swap.
type topic struct{ watchers []*watcher }

type watcher struct {
	ch chan struct{}
	at int
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

// signal tells the watchers of this process.
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
		select {
		case w.ch <- struct{}{}:
		default: // it has a signal that it did not take yet; that one covers this change
		}
	}
}

// Subscribe gives a channel that is signalled after each change of the topic; changes while a signal waits are one signal. The channel is
// never closed. cancel ends the subscription and may be called more than once.
func (b *Bus) Subscribe(name string) (ch <-chan struct{}, cancel func()) {
	w := &watcher{ch: make(chan struct{}, 1)}
	b.mu.Lock()
	t := b.topics[name]
	if t == nil {
		t = &topic{}
		b.topics[name] = t
	}
	w.at = len(t.watchers)
	t.watchers = append(t.watchers, w)
	b.mu.Unlock()
	return w.ch, sync.OnceFunc(func() { b.leave(name, t, w) })
}

func (b *Bus) leave(name string, t *topic, w *watcher) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := len(t.watchers) - 1
	t.watchers[last].at = w.at
	t.watchers[w.at] = t.watchers[last]
	t.watchers[last] = nil
	t.watchers = t.watchers[:last]
	if last == 0 {
		delete(b.topics, name) // there is one topic for each request, so empty ones must go
	}
}
