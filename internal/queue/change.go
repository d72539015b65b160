package queue

import "fmt"

// The classes of priority: 0 normal, 1 high, 2 urgent. A higher one is served first.
const (
	Classes     = 3
	maxPriority = Classes - 1
)

// MaxVersion is the greatest version a change may have: 2^56 − 1, since a slot keeps eight bits for itself. At a million changes of one
// row a second it lasts 2,283 years.
const MaxVersion = 1<<56 - 1

// Way is how a request is served; customers of one way do not wait for the servers of the other.
type Way uint8

// The ways.
const (
	Automatic Way = iota
	Operator
	ways = 2
)

// Key orders the line; equal keys are ordered by id.
type Key struct {
	Priority   int   // 0 to 2, served in descending order
	EnqueuedAt int64 // microseconds since 1970, ascending
}

// Change is what became of one request, as the database committed it.
type Change struct {
	ID      string
	Version int64 // of the row, 0 to MaxVersion; grows with each of its changes
	Pending bool  // waits in the line; the rest only counts if it does
	Key     Key
	Way     Way
}

// Check says what is wrong with a change, or nil. [Index.Apply] refuses such a change and counts it in [Stats].
func (c Change) Check() error {
	switch {
	case c.ID == "":
		return fmt.Errorf("queue: a change without an id")
	case c.Version < 0 || c.Version > MaxVersion:
		return fmt.Errorf("queue: %s: version %d is not in 0 to %d", c.ID, c.Version, int64(MaxVersion))
	case !c.Pending:
		return nil
	case c.Key.Priority < 0 || c.Key.Priority > maxPriority:
		return fmt.Errorf("queue: %s: priority %d is not in 0 to %d", c.ID, c.Key.Priority, maxPriority)
	case c.Way >= ways:
		return fmt.Errorf("queue: %s: way %d is not in 0 to %d", c.ID, c.Way, ways-1)
	}
	return nil
}

// Place is where one request stands, all figures of the same instant.
type Place struct {
	Position     int // from 1
	Ahead        int // Position − 1
	AheadSameWay int // of those ahead, the ones of the same way
	AheadByClass [Classes]int
	Key          Key
	Way          Way
	Version      int64  // of the change that put it there or was applied since; 0 for a place not taken yet
	Revision     uint64 // of the line that was read, see [View.Revision]
}

// Entry is one who waits.
type Entry struct {
	ID  string
	Key Key
	Way Way
}

// Counts is how many wait, by priority and way.
type Counts [Classes][ways]int

// Total is how many wait in all.
func (c Counts) Total() int {
	n := 0
	for p := range c {
		n += c.Class(p)
	}
	return n
}

// Class is how many wait with that priority.
func (c Counts) Class(priority int) int {
	return c[priority][Automatic] + c[priority][Operator]
}
