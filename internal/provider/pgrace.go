package provider

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"
)

// LockTimeout is how long one of our statements stands in the way of others by waiting for a lock; then it steps back and tries again.
const LockTimeout = 500 * time.Millisecond

// raceTime is how long such tries go on.
const raceTime = 15 * time.Second

// Raced reports an error with which a server answers to two changes of one thing at one time; the same again is the cure.
func Raced(err error) bool {
	switch PostgresCode(err) {
	case "55P03", "40P01", "40001", "23505": // a lock, a deadlock, a serialization; and how two creations of one name end in the catalogs
		return true
	case "XX000":
		return strings.Contains(err.Error(), "concurrently updated") || strings.Contains(err.Error(), "concurrently deleted")
	}
	return false
}

// Again runs f until it does not meet a race with somebody else, for 15 s at most.
func Again(ctx context.Context, f func() error) error {
	pause, end := 10*time.Millisecond, time.Now().Add(raceTime)
	for {
		err := f()
		if err == nil || !Raced(err) || time.Now().After(end) {
			return err
		}
		if err := Pause(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, LockTimeout)
	}
}

// Pause waits between a half and one and a half times d, so that those who met once do not meet again.
func Pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d/2 + rand.N(d)) //nolint:gosec // jitter needs no secrecy
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
