package pgcluster

import (
	"context"
	"sync"
	"time"
)

// Purpose is what a connection is for. A share of the budget is kept from those that no customer waits for.
type Purpose int

// The purposes.
const (
	Provision Purpose = iota // a customer waits: the whole budget
	Refill                   // the pool and the templates: at most half
	Look                     // lists, sizes, doctor: at most a quarter
	purposes
)

type purposeKey struct{}

// For says what the work done with this context is for. Without it, it is Provision.
func For(ctx context.Context, p Purpose) context.Context {
	return context.WithValue(ctx, purposeKey{}, p)
}

func purposeOf(ctx context.Context) Purpose {
	p, _ := ctx.Value(purposeKey{}).(Purpose)
	return p
}

// budget counts the connections that are open to the cluster. Those who wait are served in turn by purpose, and within a purpose in the order
// they came, so that neither a refill of the pool starves sign-ups nor a burst of sign-ups every other work.
type budget struct {
	mu      sync.Mutex
	max     int
	open    int           // connections there are, or are being made
	used    [purposes]int // of them, those in somebody's hands; the rest are idle, and given up when somebody waits, or leaving
	leaving int           // of them, those that were told farewell, whose room is free in a moment: nobody need give up another for it
	cap     [purposes]int // the most of each
	waiting [purposes][]*waiter
	turn    Purpose
	shed    func(all bool, p Purpose) // asks for idle connections back, all or those of a purpose; called without the lock
	asking  sync.Mutex                // held by the waiter who does: a closing takes long where the server hangs
}

type waiter struct{ ready chan struct{} }

// shedEvery is how often one who waits asks for idle connections.
const shedEvery = 50 * time.Millisecond

// minBudget lets a build hold the lock on its template, work in it, and leave one for others.
const minBudget = 3

func newBudget(most int) *budget {
	b := &budget{max: most, shed: func(bool, Purpose) {}}
	b.cap = [purposes]int{Provision: most, Refill: max(2, most/2), Look: max(1, most/4)} // a build takes two
	return b
}

// take waits for room for one more connection.
func (b *budget) take(ctx context.Context, p Purpose) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	w := &waiter{ready: make(chan struct{})}
	b.waiting[p] = append(b.waiting[p], w)
	b.grant()
	b.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	default:
	}
	for waits := true; waits; {
		b.ask(p) // again and again: one may become idle in the instant in which we look, when nobody waits yet as far as its user knows
		timer := time.NewTimer(shedEvery)
		select {
		case <-w.ready:
			timer.Stop()
			return nil
		case <-ctx.Done():
			waits = false
		case <-timer.C:
		}
		timer.Stop()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-w.ready: // it came in the same instant
		b.open--
		b.used[p]--
	default:
		for i, other := range b.waiting[p] {
			if other == w {
				b.waiting[p] = append(b.waiting[p][:i], b.waiting[p][i+1:]...)
				break
			}
		}
	}
	b.grant()
	return ctx.Err()
}

// ask has idle connections closed. Where the purpose itself is at its most, only one of its own is of use.
func (b *budget) ask(p Purpose) {
	if !b.asking.TryLock() {
		return // somebody else does; our turn comes again
	}
	defer b.asking.Unlock()
	b.mu.Lock()
	full := b.used[p] >= b.cap[p]
	enough := !full && !b.someoneWaits()
	b.mu.Unlock()
	if !enough {
		b.shed(!full, p)
	}
}

// give says that a connection came to nothing.
func (b *budget) give(p Purpose) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open--
	b.used[p]--
	b.grant()
}

// park says that a connection stays open with nobody using it; false when somebody waits for the room, so it has to be closed.
func (b *budget) park(p Purpose) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open >= b.max && b.someoneWaits() {
		return false
	}
	b.used[p]--
	b.grant() // the purpose has room again, if not the budget
	return true
}

// unpark takes an idle connection into use, where the purpose has room for it; its owner has made sure that it is still there.
func (b *budget) unpark(p Purpose) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used[p] >= b.cap[p] || len(b.waiting[p]) > 0 {
		return false
	}
	b.used[p]++
	return true
}

// leave says that a connection in somebody's hands is told farewell: the purpose has room again, the budget when it is gone.
func (b *budget) leave(p Purpose) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used[p]--
	b.leaving++
	b.grant()
}

// leaveIdle says so of an idle one.
func (b *budget) leaveIdle() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leaving++
}

// gone says that one that was told farewell is closed.
func (b *budget) gone() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leaving--
	b.open--
	b.grant()
}

// crowded reports whether somebody waits for whom no room is on its way.
func (b *budget) crowded() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.someoneWaits()
}

func (b *budget) someoneWaits() bool {
	n := 0
	for p := range purposes {
		n += min(len(b.waiting[p]), max(0, b.cap[p]-b.used[p]))
	}
	return n > b.leaving
}

func (b *budget) grant() {
	for b.open < b.max {
		found := false
		for i := range purposes {
			p := (b.turn + i) % purposes
			if len(b.waiting[p]) == 0 || b.used[p] >= b.cap[p] {
				continue
			}
			w := b.waiting[p][0]
			b.waiting[p] = b.waiting[p][1:]
			b.open++
			b.used[p]++
			b.turn = (p + 1) % purposes
			close(w.ready)
			found = true
			break
		}
		if !found {
			return
		}
	}
}
