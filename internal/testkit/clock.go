package testkit

import (
	"sync"
	"time"
)

// Clock is a clock that moves when the test says so. Its times are UTC with microseconds, as both engines keep them.
// It is safe for several goroutines.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock makes a clock that stands at a fixed time, the same in every run.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, time.March, 14, 9, 26, 53, 589793000, time.UTC)}
}

// Now is what the code under test asks.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock and gives the new time. A negative duration moves it back, as an operator's correction of
// the machine's clock does.
func (c *Clock) Advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d).Truncate(time.Microsecond)
	return c.now
}

// Set puts the clock at a time.
func (c *Clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now.UTC().Truncate(time.Microsecond)
}
