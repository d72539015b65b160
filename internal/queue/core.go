package queue

import "sync/atomic"

// core is everything that a Reset replaces. Its readers take no lock, its one writer holds Index.mu or has the core for himself.
type core struct {
	line   atomic.Pointer[line]
	table  table
	graves graves
	limit  int

	versions atomic.Int64 // sum over who is in the line
}

// line is one published state, never changed.
type line struct {
	class    [Classes]node
	counts   Counts
	texts    *texts
	revision uint64
}

func newCore(limit int) *core {
	c := &core{limit: limit}
	c.line.Store(&line{texts: &texts{}})
	return c
}

// place answers from the newest line. It is not sure when the table said what the line did not have: then a writer is at work on that id.
func (c *core) place(id string) (p Place, ok, sure bool) {
	d, ok := c.texts().find(id)
	if !ok {
		return Place{}, false, true
	}
	k, ok := c.table.find(d)
	if !ok || !k.pending() {
		return Place{}, false, true // joins write the table first and departures last: who is not here is not in the line
	}
	l := c.line.Load()
	priority := min(k.priority(), maxPriority) // of a torn slot it may be 3
	before, way, ok := l.class[priority].rank(entry{k.at, d}, l.texts)
	if !ok || way != k.way() {
		return Place{}, false, false
	}
	p = l.place(Key{priority, k.at}, way, before)
	p.Version = k.version()
	return p, true, true
}

// place is that of somebody with so many before him in his own class.
func (l *line) place(key Key, way Way, before sums) Place {
	p := Place{Key: key, Way: way, Revision: l.revision, AheadSameWay: before.of(way)}
	p.AheadByClass[key.Priority] = int(before.all)
	for i := key.Priority + 1; i < Classes; i++ {
		p.AheadByClass[i] = l.counts.Class(i)
		p.AheadSameWay += l.counts[i][way]
	}
	for _, n := range p.AheadByClass {
		p.Ahead += n
	}
	p.Ahead = betweenClasses(p.Ahead, int(before.all))
	p.Position = p.Ahead + 1
	return p
}

// apply takes one change that is well formed.
func (c *core) apply(ch Change) bool {
	w := c.begin()
	ok := w.apply(ch)
	w.commit()
	return ok
}

// applyAll takes changes that are well formed, as one.
func (c *core) applyAll(changes []Change) int {
	w := c.begin()
	n := 0
	for _, ch := range newest(changes) {
		if w.apply(ch) {
			n++
		}
	}
	w.commit()
	return n
}

// newest keeps of each id the change with the greatest version, since a batch must touch an id only once: departures reach the table at
// its end.
func newest(changes []Change) []Change {
	if len(changes) < 2 {
		return changes
	}
	first := make(map[string]int, len(changes))
	kept := make([]Change, 0, len(changes))
	for _, ch := range changes {
		i, ok := first[ch.ID]
		switch {
		case !ok:
			first[ch.ID] = len(kept)
			kept = append(kept, ch)
		case ch.Version > kept[i].Version:
			kept[i] = ch
		}
	}
	return kept
}

// batch is the writing of one or several changes that become visible at once.
type batch struct {
	core *core
	edit edit
	next *line // nil as long as the line is the same
	gone []departure
	one  [1]departure // room for the usual number
}

type departure struct {
	id      ident
	version int64
}

func (c *core) begin() batch {
	l := c.line.Load()
	return batch{core: c, edit: edit{l.revision + 1, l.texts}}
}

func (b *batch) apply(ch Change) bool {
	c := b.core
	d := b.edit.texts.enter(ch.ID)
	k, ok := c.table.find(d)
	if ok && ch.Version <= k.version() {
		return false
	}
	was := ok && k.pending()
	if was {
		c.versions.Add(-k.version())
	}
	if ch.Pending {
		c.versions.Add(ch.Version)
	}
	meta := pendingMeta(ch)
	same := known{ch.Key.EnqueuedAt, meta}
	switch {
	case !ch.Pending && was:
		b.leave(d, k)
		b.depart(d, ch.Version)
	case !ch.Pending:
		b.depart(d, ch.Version)
	case was && k.at == same.at && k.priority() == same.priority() && k.way() == same.way():
		c.table.put(d, same) // only the version
	default:
		c.table.put(d, same)
		if was {
			b.leave(d, k)
		}
		b.join(d, same)
	}
	return true
}

func (b *batch) join(d ident, k known) {
	l := b.line()
	l.class[k.priority()] = b.edit.insert(l.class[k.priority()], entry{k.at, d}, k.way())
	l.counts[k.priority()][k.way()]++
}

func (b *batch) leave(d ident, k known) {
	l := b.line()
	l.class[k.priority()] = b.edit.remove(l.class[k.priority()], entry{k.at, d})
	l.counts[k.priority()][k.way()]--
}

func (b *batch) depart(d ident, version int64) {
	if b.gone == nil {
		b.gone = b.one[:0]
	}
	b.gone = append(b.gone, departure{d, version})
}

// line is the one being made.
func (b *batch) line() *line {
	if b.next == nil {
		next := *b.core.line.Load()
		next.revision = b.edit.number
		b.next = &next
	}
	return b.next
}

// commit publishes, and only then tells the table who has left.
func (b *batch) commit() {
	c := b.core
	if b.next != nil {
		c.line.Store(b.next)
	}
	for _, g := range b.gone {
		number := c.graves.push(g.id)
		c.table.put(g.id, known{int64(number), goneMeta(g.version)}) //nolint:gosec // counts up, far from 2^63
	}
	if over := c.graves.len() - c.limit; over > 0 {
		c.forget(c.graves.first + uint64(over)) //nolint:gosec // positive
	}
}

// forget drops the tombstones with numbers below the mark.
func (c *core) forget(mark uint64) {
	for c.graves.len() > 0 && c.graves.first < mark {
		c.bury()
	}
	if t := c.texts().compact(); t != c.texts() {
		l := *c.line.Load()
		l.texts = t
		c.line.Store(&l) // the same line, and therefore the same revision
	}
}

func (c *core) texts() *texts { return c.line.Load().texts }

// bury forgets the oldest tombstone, unless its id has come back or left again since.
func (c *core) bury() {
	d, number := c.graves.pop()
	k, ok := c.table.find(d)
	if ok && !k.pending() && k.at == int64(number) { //nolint:gosec // counts up, far from 2^63
		c.table.kill(d)
		c.texts().drop(d)
	}
}

// graves is the order in which ids were removed, in chunks so that it grows and shrinks without copying. Tombstones are numbered in
// ascending order, those of each core above all of the one before.
type graves struct {
	first, next uint64 // the numbers of the oldest, and of the next to come
	chunks      []*[graveChunk]ident
}

const (
	graveChunk = 1024
	graveCore  = 1 << 40 // numbers for each core
)

// after begins the numbering above those of the core that has come to mark.
func (g *graves) after(mark uint64) {
	g.next = (mark/graveCore + 1) * graveCore
	g.first = g.next
}

func (g *graves) len() int { return int(g.next - g.first) } //nolint:gosec // bounded by the limit

func (g *graves) push(d ident) (number uint64) {
	number = g.next
	if number%graveChunk == 0 {
		g.chunks = append(g.chunks, new([graveChunk]ident))
	}
	g.chunks[len(g.chunks)-1][number%graveChunk] = d
	g.next++
	return number
}

func (g *graves) pop() (d ident, number uint64) {
	number = g.first
	d = g.chunks[0][number%graveChunk]
	g.first++
	if g.first%graveChunk == 0 {
		g.chunks[0] = nil
		g.chunks = g.chunks[1:]
	}
	return d, number
}
