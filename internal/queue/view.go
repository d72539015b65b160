package queue

import (
	"iter"
	"math"
)

// View is the line at one instant. It may be kept and read by many; what it says never changes.
type View struct {
	line *line
}

// Revision numbers the states of one index in ascending order, also over a Reset; equal revisions are the same line.
func (v View) Revision() uint64 { return v.line.revision }

// Len is how many wait, in O(1).
func (v View) Len() int { return v.line.counts.Total() }

// Counts is how many wait, by priority and way, in O(1).
func (v View) Counts() Counts { return v.line.counts }

// All yields everybody in order.
func (v View) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for p := maxPriority; p >= 0; p-- {
			if !v.line.class[p].all(v.yielding(p, yield)) {
				return
			}
		}
	}
}

// After yields in order those who come after the given key and id, whether or not that one is still there: the next page of a list whose
// last entry it was. It finds its beginning in O(log n). With the id "" it begins with the key itself.
func (v View) After(key Key, id string) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for p := min(key.Priority, maxPriority); p >= 0; p-- {
			from := entry{at: math.MinInt64}
			each := v.yielding(p, yield)
			if p == key.Priority {
				from.at = key.EnqueuedAt
				each = v.skipping(key.EnqueuedAt, id, each)
				if d, ok := v.line.texts.find(id); ok {
					from.id = d
				}
			}
			if !v.line.class[p].walk(from, v.line.texts, each) {
				return
			}
		}
	}
}

// skipping leaves out those of that time whose id is not greater. It is needed although the walk begins there: an id of a foreign form may
// be unknown, and then the walk begins with the first of its time.
func (v View) skipping(at int64, id string, yield func(entry, Way) bool) func(entry, Way) bool {
	return func(e entry, w Way) bool {
		if e.at == at && v.line.texts.text(e.id) <= id {
			return true
		}
		return yield(e, w)
	}
}

func (v View) yielding(priority int, yield func(Entry) bool) func(entry, Way) bool {
	return func(e entry, w Way) bool {
		return yield(v.entry(priority, e, w))
	}
}

func (v View) entry(priority int, e entry, w Way) Entry {
	return Entry{v.line.texts.text(e.id), Key{priority, e.at}, w}
}

// Head is the first n of the line, or all if it is shorter.
func (v View) Head(n int) []Entry {
	head := make([]Entry, 0, max(0, min(n, v.Len())))
	for e := range v.All() {
		if len(head) >= n {
			break
		}
		head = append(head, e)
	}
	return head
}

// At is who stands at a position, from 1, in O(log n); false beyond the line.
func (v View) At(position int) (Entry, bool) {
	k := position - 1
	if k < 0 {
		return Entry{}, false
	}
	for p := maxPriority; p >= 0; p-- {
		n := v.line.counts.Class(p)
		if k < n {
			e, w := v.line.class[p].at(k)
			return v.entry(p, e, w), true
		}
		k -= n
	}
	return Entry{}, false
}

// Oldest is who has waited longest, whatever the class, in O(log n); false if nobody waits. Among equals it is the one served first.
func (v View) Oldest() (Entry, bool) {
	var oldest Entry
	found := false
	for p := maxPriority; p >= 0; p-- {
		if v.line.counts.Class(p) == 0 {
			continue
		}
		e, w := v.line.class[p].at(0)
		if !found || e.at < oldest.Key.EnqueuedAt {
			oldest, found = v.entry(p, e, w), true
		}
	}
	return oldest, found
}
