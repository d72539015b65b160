package queue

import (
	"sync"
	"sync/atomic"
)

// DefaultTombstones is how many removed ids are remembered unless [Remember] says otherwise; with the default they take at most 20 MB.
const DefaultTombstones = 1 << 18

// Index is the line. All methods may be called by any number of goroutines; reads neither wait for writers nor hold them up.
type Index struct {
	core    atomic.Pointer[core]
	refused atomic.Uint64

	mu        sync.Mutex // one writer at a time
	limit     int
	resetting sync.Mutex // one Reset at a time
	loading   bool       // a Reset is under way, and during collects
	during    []Change   // the changes since it began
}

// An Option is a choice made when an index is made.
type Option func(*Index)

// Remember sets how many removed ids are remembered, at least 0. With 0 a late change brings a removed id back.
func Remember(tombstones int) Option {
	return func(x *Index) { x.limit = max(0, tombstones) }
}

// New makes an empty line.
func New(options ...Option) *Index {
	x := &Index{limit: DefaultTombstones}
	for _, o := range options {
		o(x)
	}
	x.core.Store(newCore(x.limit))
	return x
}

// Apply takes one change, in O(log n). It counts only if its version is greater than what is known of its id, also if that has left the
// line and is still remembered; otherwise nothing happens and the answer is false. So is it for a change that [Change.Check] refuses.
// After Apply every read sees the change.
func (x *Index) Apply(c Change) bool {
	if c.Check() != nil {
		x.refused.Add(1)
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.loading {
		x.during = append(x.during, c)
	}
	return x.core.Load().apply(c)
}

// ApplyAll takes several changes and makes them visible at once, which is several times cheaper than one by one. It answers how many ids
// have changed: of several changes of one id only the greatest version counts.
func (x *Index) ApplyAll(changes []Change) int {
	changes = x.valid(changes)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.loading {
		x.during = append(x.during, changes...)
	}
	return x.core.Load().applyAll(changes)
}

// valid gives the changes without those to be refused, which hardly ever are any.
func (x *Index) valid(changes []Change) []Change {
	for i, c := range changes {
		if c.Check() == nil {
			continue
		}
		x.refused.Add(1)
		kept := append([]Change(nil), changes[:i]...)
		return append(kept, x.valid(changes[i+1:])...)
	}
	return changes
}

// attempts is how often a reader looks again before it waits for the writer, see the package comment.
const attempts = 3

// Place says where an id stands, in O(log n) and without waiting; false if it is not in the line.
func (x *Index) Place(id string) (Place, bool) {
	for range attempts {
		if p, ok, sure := x.core.Load().place(id); sure {
			return p, ok
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	p, ok, _ := x.core.Load().place(id)
	return p, ok
}

// View gives the line as it is now. It never changes, and holds memory of its own only for what the line has changed since.
func (x *Index) View() View {
	return View{x.core.Load().line.Load()}
}

// Len is how many wait.
func (x *Index) Len() int { return x.View().Len() }

// Revision is that of the newest view; it differs whenever the line does.
func (x *Index) Revision() uint64 { return x.core.Load().line.Load().revision }

// Mark gives the present moment, for [Index.Forget].
func (x *Index) Mark() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.core.Load().graves.next
}

// Forget drops the memory of the ids that were removed before the mark; older changes of theirs would then count again, so let the mark be
// older than the oldest change that can still arrive. A mark from before a Reset drops nothing that the Reset has brought.
func (x *Index) Forget(mark uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.core.Load().forget(mark)
}

// Stats is what an operator may want to see of the index itself.
type Stats struct {
	Pending    int
	Tombstones int    // at most; some may stand for ids that came back since
	Refused    uint64 // changes that were malformed, since New: each is a fault of who sent it
	Revision   uint64
}

// Stats counts.
func (x *Index) Stats() Stats {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.core.Load()
	l := c.line.Load()
	return Stats{Pending: l.counts.Total(), Tombstones: c.graves.len(), Refused: x.refused.Load(), Revision: l.revision}
}
