package queue

import (
	"math/bits"
	"sync/atomic"
)

// slot is one id in the hash table: four words, half a cache line. Readers load the words one by one without a lock, so they may see halves
// of two states; the tree decides what was true.
type slot [4]uint64

// The words of a slot. A pending id has its enqueue time in wordAt, a removed one the number of its tombstone.
const (
	wordHi = iota
	wordLo
	wordAt
	wordMeta // version << 8 | marks; 0 is an empty slot
)

// The marks.
const (
	markUsed    = 1 << iota
	markPending // otherwise a tombstone
	markOperator
	markPriority // two bits
	_
	markDead // forgotten; the slot is free at the next rebuilding

	versionShift = 8
)

// known is what the table knows of an id.
type known struct {
	at   int64
	meta uint64
}

func pendingMeta(c Change) uint64 {
	m := uint64(c.Version)<<versionShift | markUsed | markPending | uint64(c.Key.Priority)*markPriority //nolint:gosec // Check has seen them
	if c.Way == Operator {
		m |= markOperator
	}
	return m
}

func goneMeta(version int64) uint64 {
	return uint64(version)<<versionShift | markUsed //nolint:gosec // Check has seen it
}

func (k known) version() int64 { return int64(k.meta >> versionShift) } //nolint:gosec // 56 bits
func (k known) pending() bool  { return k.meta&markPending != 0 }
func (k known) priority() int  { return int(k.meta / markPriority & 3) } //nolint:gosec // two bits
func (k known) way() Way       { return Way(k.meta / markOperator & 1) } //nolint:gosec // one bit

// The table is cut in pieces so that making one larger takes microseconds, and memory does not double at once.
const (
	pieceBits = 8
	pieces    = 1 << pieceBits
	minSlots  = 8
)

// table maps ids to what is known of them: open addressing with linear probing, in pieces that are replaced when they fill. One writer,
// any number of readers.
type table struct {
	pieces [pieces]piece
}

type piece struct {
	slots atomic.Pointer[[]slot]
	used  int // slots that are not empty, the dead ones too
	dead  int
}

// home is where in a piece the probing starts: the hash scaled to the size, so that sizes need not be powers of two (Lemire 2019,
// "Fast random integer generation in an interval").
func home(h uint64, size int) int {
	i, _ := bits.Mul64(h<<pieceBits, uint64(size)) //nolint:gosec // a length
	return int(i)                                  //nolint:gosec // below size
}

// find is safe beside the writer.
func (t *table) find(d ident) (known, bool) {
	h := d.hash()
	p := t.pieces[h>>(64-pieceBits)].slots.Load()
	if p == nil {
		return known{}, false
	}
	slots := *p
	for i := home(h, len(slots)); ; {
		s := &slots[i]
		meta := atomic.LoadUint64(&s[wordMeta])
		if meta == 0 {
			return known{}, false
		}
		if atomic.LoadUint64(&s[wordLo]) == d.lo && atomic.LoadUint64(&s[wordHi]) == d.hi && meta&markDead == 0 {
			return known{int64(atomic.LoadUint64(&s[wordAt])), meta}, true //nolint:gosec // the same bits
		}
		if i++; i == len(slots) {
			i = 0
		}
	}
}

// put writes what is known of an id.
func (t *table) put(d ident, k known) {
	h := d.hash()
	p := &t.pieces[h>>(64-pieceBits)]
	s := p.seek(d, h)
	if s == nil || s[wordMeta] == 0 {
		// At 13/16 full a look-up that finds reads 3.2 slots and one that does not 15 (Knuth, TAOCP 3, 6.4); beyond, both climb steeply.
		if s == nil || (p.used+1)*16 > p.size()*13 {
			p.rebuild()
			s = p.seek(d, h)
		}
		p.used++
		atomic.StoreUint64(&s[wordHi], d.hi)
		atomic.StoreUint64(&s[wordLo], d.lo)
	}
	atomic.StoreUint64(&s[wordAt], uint64(k.at)) //nolint:gosec // the same bits
	atomic.StoreUint64(&s[wordMeta], k.meta)     // last: it makes the slot visible
}

// kill forgets an id that is there.
func (t *table) kill(d ident) {
	h := d.hash()
	p := &t.pieces[h>>(64-pieceBits)]
	s := p.seek(d, h)
	if s == nil || s[wordMeta] == 0 {
		return
	}
	atomic.StoreUint64(&s[wordMeta], markUsed|markDead)
	p.dead++
	if p.dead > minSlots && p.dead*2 > p.size() {
		p.rebuild()
	}
}

func (p *piece) size() int {
	if s := p.slots.Load(); s != nil {
		return len(*s)
	}
	return 0
}

// seek gives the slot of an id, or the empty one where it would go; nil if there are no slots yet. Only for the writer, who may read
// without atomics since nobody else writes.
func (p *piece) seek(d ident, h uint64) *slot {
	sp := p.slots.Load()
	if sp == nil {
		return nil
	}
	slots := *sp
	for i := home(h, len(slots)); ; {
		s := &slots[i]
		if s[wordMeta] == 0 || s[wordLo] == d.lo && s[wordHi] == d.hi && s[wordMeta]&markDead == 0 {
			return s
		}
		if i++; i == len(slots) {
			i = 0
		}
	}
}

// rebuild replaces the slots by new ones without the dead, 2/3 full. Readers of the old ones see the state of this instant.
func (p *piece) rebuild() {
	live := p.used - p.dead
	fresh := make([]slot, max(minSlots, (live+1)*3/2))
	if sp := p.slots.Load(); sp != nil {
		for _, s := range *sp {
			if s[wordMeta] == 0 || s[wordMeta]&markDead != 0 {
				continue
			}
			i := home(ident{s[wordHi], s[wordLo]}.hash(), len(fresh))
			for fresh[i][wordMeta] != 0 {
				if i++; i == len(fresh) {
					i = 0
				}
			}
			fresh[i] = s
		}
	}
	p.used, p.dead = live, 0
	p.slots.Store(&fresh)
}
