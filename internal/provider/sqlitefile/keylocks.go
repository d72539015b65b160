package sqlitefile

import (
	"context"
	"sync"
)

// keyLocks lets one goroutine at a time work on each key; others wait for it or for the end of their context. Unlike a singleflight the work
// belongs to one caller's context, so that giving up there neither fails the others nor leaves a goroutine behind: the next one takes over.
// The zero value is ready.
type keyLocks struct {
	mu   sync.Mutex
	held map[string]*keyLock
}

type keyLock struct {
	token chan struct{} // full while held
	users int           // holder and waiters, under keyLocks.mu
}

// lock waits for the key; the caller calls unlock once.
func (k *keyLocks) lock(ctx context.Context, key string) (unlock func(), err error) {
	k.mu.Lock()
	if k.held == nil {
		k.held = map[string]*keyLock{}
	}
	l := k.held[key]
	if l == nil {
		l = &keyLock{token: make(chan struct{}, 1)}
		k.held[key] = l
	}
	l.users++
	k.mu.Unlock()

	leave := func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(k.held, key)
		}
	}
	if err := ctx.Err(); err != nil { // a select would choose at random
		leave()
		return nil, err
	}
	select {
	case l.token <- struct{}{}:
		return func() { <-l.token; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
