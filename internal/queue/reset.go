package queue

import (
	"cmp"
	"slices"
)

// Reset builds the line anew from what load adds, and then replaces the old one at once. Nothing of the old line is kept, neither ids nor
// versions nor tombstones, so a database that was restored to an older state is followed. Meanwhile reads go on with the old line;
// changes that are applied after Reset began are applied to the new one as well, the greater version winning as ever. Therefore a line is
// true after Reset if load reads the database in a snapshot taken within load, and each change that it does not see is applied by somebody.
//
// The stream is best in the order of the line or of time, which makes building O(n); any other order only takes longer. load may add
// ids that left recently (Pending false), so that late changes of theirs stay without effect. With an error of load the old line
// stays, and the error is returned.
func (x *Index) Reset(load func(add func(Change)) error) error {
	x.resetting.Lock()
	defer x.resetting.Unlock()
	b := builder{core: newCore(x.limit)}
	x.collect(true)
	defer x.collect(false)
	b.core.graves.after(x.Mark())

	err := load(func(c Change) {
		if c.Check() != nil {
			x.refused.Add(1)
			return
		}
		b.add(c)
	})
	if err != nil {
		return err
	}
	b.finish()
	for x.catchUp(b.core) {
	}
	return nil
}

func (x *Index) collect(on bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.loading, x.during = on, nil
}

// few is how many changes may be applied while all writers wait, about a millisecond's worth.
const few = 1000

// catchUp applies to the new core what has come in meanwhile, and puts it in the place of the old one if that was little. It reports
// whether there is more to do.
func (x *Index) catchUp(c *core) bool {
	x.mu.Lock()
	during := x.during
	x.during = nil
	if len(during) > few {
		x.mu.Unlock()
		c.applyAll(during)
		return true
	}
	defer x.mu.Unlock()
	c.applyAll(during)
	l := *c.line.Load()
	// Also greater than any edit of the new core, so that no number is used twice.
	l.revision = max(l.revision, x.core.Load().line.Load().revision) + 1
	c.line.Store(&l)
	x.core.Store(c)
	return false
}

// A built node is not quite full, so that the first insertions need no splits.
const (
	leafBuilt  = leafSize * 8 / 9
	innerBuilt = innerSize * 8 / 9
)

// builder makes a core from a stream.
type builder struct {
	core  *core
	class [Classes]struct {
		leaves []*leaf
		last   entry
		stray  []stray // came after a greater one
	}
	counts Counts
	late   []Change // of ids that were added before
}

type stray struct {
	entry
	way Way
}

func (b *builder) add(c Change) {
	d := b.core.texts().enter(c.ID)
	if k, ok := b.core.table.find(d); ok {
		if c.Version > k.version() {
			b.late = append(b.late, c)
		}
		return
	}
	if !c.Pending {
		number := b.core.graves.push(d)
		b.core.table.put(d, known{int64(number), goneMeta(c.Version)}) //nolint:gosec // counts up, far from 2^63
		return
	}
	b.core.table.put(d, known{c.Key.EnqueuedAt, pendingMeta(c)})
	b.core.versions.Add(c.Version)
	b.counts[c.Key.Priority][c.Way]++
	k := &b.class[c.Key.Priority]
	e := entry{c.Key.EnqueuedAt, d}
	if len(k.leaves) > 0 && !b.less(k.last, e) {
		k.stray = append(k.stray, stray{e, c.Way})
		return
	}
	k.last = e
	if n := len(k.leaves); n == 0 || k.leaves[n-1].n == leafBuilt {
		k.leaves = append(k.leaves, new(leaf))
	}
	l := k.leaves[len(k.leaves)-1]
	l.open(l.n, e, c.Way)
}

func (b *builder) less(a, e entry) bool {
	return a.at < e.at || a.at == e.at && b.core.texts().less(a.id, e.id)
}

// finish makes the trees and publishes them within the core.
func (b *builder) finish() {
	c := b.core
	l := &line{counts: b.counts, texts: c.texts(), revision: 1}
	ed := edit{l.revision, l.texts}
	for p := range b.class {
		k := &b.class[p]
		l.class[p] = grow(k.leaves)
		// In order each finds its leaf where the one before has left the path in the cache.
		slices.SortFunc(k.stray, func(a, e stray) int {
			switch {
			case b.less(a.entry, e.entry):
				return -1
			case a.entry == e.entry:
				return 0
			}
			return 1
		})
		for _, s := range k.stray {
			l.class[p] = ed.insert(l.class[p], s.entry, s.way)
		}
	}
	c.line.Store(l)
	slices.SortStableFunc(b.late, func(a, e Change) int { return cmp.Compare(a.Version, e.Version) })
	c.applyAll(b.late)
}

// grow makes a tree of leaves in order.
func grow(leaves []*leaf) node {
	level := make([]node, len(leaves))
	for i, l := range leaves {
		level[i] = node{lf: l}
	}
	for len(level) > 1 {
		var above []node
		for part := range slices.Chunk(level, innerBuilt) {
			in := new(inner)
			for i, n := range part {
				in.open(i, n, n.low())
			}
			above = append(above, node{in: in})
		}
		level = above
	}
	if len(level) == 0 {
		return node{}
	}
	return level[0]
}
