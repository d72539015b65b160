// Package events tells the watchers of one process, and on Postgres those of its siblings, that something changed. It carries topics and no
// content: a watcher reads what is true now. A lost signal costs a delay, never a wrong answer, since watchers also look by themselves.
package events

import "sync"

// Bus implements hub.Events within one process. The zero value is not ready; use New.
type Bus struct {
	mu   sync.Mutex
	subs map[string]map[*sub]struct{}

	forward func(topics []string) // to other processes; set by a Bridge before it starts, else nil
}

type sub struct{ ch chan struct{} }

// New makes a bus without watchers.
func New() *Bus { return &Bus{subs: map[string]map[*sub]struct{}{}} }

// Publish signals every watcher of the topics, here and, with a Bridge, in the other processes. It never waits for a watcher.
func (b *Bus) Publish(topics ...string) {
	b.local(topics)
	b.mu.Lock()
	forward := b.forward
	b.mu.Unlock()
	if forward != nil {
		forward(topics)
	}
}

// local signals the watchers of this process. A signal that a watcher has not taken yet stands for all later ones.
func (b *Bus) local(topics []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range topics {
		for s := range b.subs[t] {
			select {
			case s.ch <- struct{}{}:
			default:
			}
		}
	}
}

// all signals every watcher: after a gap nobody knows what was missed.
func (b *Bus) all() {
	b.mu.Lock()
	topics := make([]string, 0, len(b.subs))
	for t := range b.subs {
		topics = append(topics, t)
	}
	b.mu.Unlock()
	b.local(topics)
}

// Subscribe gives a channel of capacity one that is signalled after each change of the topic. cancel may be called more than once.
func (b *Bus) Subscribe(topic string) (ch <-chan struct{}, cancel func()) {
	s := &sub{ch: make(chan struct{}, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.subs[topic] == nil {
		b.subs[topic] = map[*sub]struct{}{}
	}
	b.subs[topic][s] = struct{}{}
	return s.ch, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs[topic], s)
		if len(b.subs[topic]) == 0 {
			delete(b.subs, topic)
		}
	}
}
