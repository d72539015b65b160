package queue

import "math/bits"

// The capacities, chosen by measurement (BenchmarkPlace1M, BenchmarkInsertMiddle1M). A leaf of 63 keeps the ways of its entries in one word
// and is 1,536 bytes, an inner node of 30 with the allocator's header 1,000: just below two of the allocator's size classes.
const (
	leafSize  = 63
	innerSize = 30
	stride    = 8 // times in a cache line
)

// entry is one place of a class: what the trees order by.
type entry struct {
	at int64
	id ident
}

// leaf holds entries in order, without a pointer, so that the garbage collector never looks inside.
type leaf struct {
	edit uint64 // that made it; only the same edit may change it
	n    int
	ops  uint64 // bit i: entry i is of the way Operator
	at   [leafSize]int64
	id   [leafSize]ident
}

// inner holds children in order: kids, or, at the lowest level, leaves.
type inner struct {
	kids   [innerSize]*inner
	leaves [innerSize]*leaf
	edit   uint64
	n      int
	sum    sums             // of all children
	lowest bool             // the children are leaves
	before [innerSize]sums  // of the children before the i-th
	at     [innerSize]int64 // no entry of child i > 0 has a lesser time, none of child i−1 a greater
}

// sums is how many entries there are below, and how many of those are of the way Operator.
type sums struct{ all, ops uint32 }

func (s sums) plus(o sums) sums  { return sums{s.all + o.all, s.ops + o.ops} }
func (s sums) minus(o sums) sums { return sums{s.all - o.all, s.ops - o.ops} }

// of is how many are of that way.
func (s sums) of(w Way) int {
	if w == Operator {
		return int(s.ops)
	}
	return int(s.all - s.ops)
}

func one(w Way) sums { return sums{1, uint32(w)} }

// node is a leaf or an inner node; the zero node is an empty tree.
type node struct {
	in *inner
	lf *leaf
}

func (n node) empty() bool { return n.in == nil && n.lf == nil }

func (n node) sums() sums {
	switch {
	case n.lf != nil:
		return n.lf.sums()
	case n.in != nil:
		return n.in.sum
	}
	return sums{}
}

// size is the number of entries of a leaf or children of an inner node.
func (n node) size() int {
	switch {
	case n.lf != nil:
		return n.lf.n
	case n.in != nil:
		return n.in.n
	}
	return 0
}

// low is the bound of a node that a split has just made; the first bound of an older one may be too great, since nobody looks at it.
func (n node) low() int64 {
	if n.lf != nil {
		return n.lf.at[0]
	}
	return n.in.at[0]
}

// first is the least entry of a node that is not empty.
func (n node) first() entry {
	for n.in != nil {
		n = n.in.child(0)
	}
	return entry{n.lf.at[0], n.lf.id[0]}
}

func (n *inner) child(i int) node {
	if n.lowest {
		return node{lf: n.leaves[i]}
	}
	return node{in: n.kids[i]}
}

// below counts the times that are less than t. It looks at the last of each stride and then into one, all without a branch that depends
// on a time: a node of a long line is seldom in the cache, and loads that do not wait for one another come together, while those of a
// binary search, or behind a branch that is guessed wrongly, come one after the other. (Keeping the last times of the strides side by
// side, so that fewer lines are read, was measured: no gain, for the same reason.)
func below(at []int64, t int64) int {
	base := 0
	for i := stride - 1; i < len(at); i += stride {
		base += stride * isLess(at[i], t)
	}
	n := 0
	for _, a := range at[base:min(base+stride, len(at))] {
		n += isLess(a, t)
	}
	return base + n
}

// isLess is 1 if a < t, else 0: the borrow of the subtraction, the sign bits turned as for unsigned numbers.
func isLess(a, t int64) int {
	const sign = 1 << 63
	_, borrow := bits.Sub64(uint64(a)^sign, uint64(t)^sign, 0) //nolint:gosec // the same bits
	return int(borrow)                                         //nolint:gosec // 0 or 1
}

// lower counts the keys that are less than e. Ids are only looked at among equal times.
func lower(at []int64, id []ident, e entry, x *texts) int {
	i := below(at, e.at)
	if i == len(at) || at[i] != e.at || id[i] == e.id {
		return i
	}
	n := len(at) - i
	for n > 0 {
		half := n >> 1
		j := i + half
		if at[j] == e.at && x.less(id[j], e.id) {
			i, n = j+1, n-half-1
		} else {
			n = half
		}
	}
	return i
}

// index is the child that holds e, or would. Bounds are times only, which makes inner nodes a third smaller; where a bound is the very time
// of e, which is rare, the first entries of those children decide. The bound of the first child is not looked at: what is less than all
// bounds belongs to it too.
func (n *inner) index(e entry, x *texts) int {
	at := n.at[1:n.n]
	i := below(at, e.at)
	equal := 0
	for i+equal < len(at) && at[i+equal] == e.at {
		equal++
	}
	for equal > 0 {
		half := equal >> 1
		f := n.child(i + half + 1).first()
		if f.at == e.at && !x.less(e.id, f.id) {
			i, equal = i+half+1, equal-half-1
		} else {
			equal = half
		}
	}
	return i
}

// rank counts the entries before e, and says whether e is there and of which way.
func (n node) rank(e entry, x *texts) (before sums, way Way, ok bool) {
	in, lf := n.in, n.lf
	for in != nil {
		i := in.index(e, x)
		before = before.plus(in.before[i])
		if in.lowest {
			lf = in.leaves[i]
			break
		}
		in = in.kids[i]
	}
	if lf == nil {
		return before, 0, false
	}
	i := lower(lf.at[:lf.n], lf.id[:lf.n], e, x)
	before = before.plus(lf.before(i))
	if i == lf.n || lf.at[i] != e.at || lf.id[i] != e.id {
		return before, 0, false
	}
	return before, lf.way(i), true
}

// at gives the entry with k before it; k is less than the tree's size.
func (n node) at(k int) (entry, Way) {
	for n.in != nil {
		i := 0
		for i+1 < n.in.n && int(n.in.before[i+1].all) <= k {
			i++
		}
		k -= int(n.in.before[i].all)
		n = n.in.child(i)
	}
	return entry{n.lf.at[k], n.lf.id[k]}, n.lf.way(k)
}

// walk yields the entries from the first that is not less than e, in order, until yield says no.
func (n node) walk(e entry, x *texts, yield func(entry, Way) bool) bool {
	switch {
	case n.lf != nil:
		for i := lower(n.lf.at[:n.lf.n], n.lf.id[:n.lf.n], e, x); i < n.lf.n; i++ {
			if !yield(entry{n.lf.at[i], n.lf.id[i]}, n.lf.way(i)) {
				return false
			}
		}
	case n.in != nil:
		for i := n.in.index(e, x); i < n.in.n; i++ {
			if !n.in.child(i).walk(e, x, yield) {
				return false
			}
		}
	}
	return true
}

func (n node) all(yield func(entry, Way) bool) bool {
	switch {
	case n.lf != nil:
		for i := range n.lf.n {
			if !yield(entry{n.lf.at[i], n.lf.id[i]}, n.lf.way(i)) {
				return false
			}
		}
	case n.in != nil:
		for i := range n.in.n {
			if !n.in.child(i).all(yield) {
				return false
			}
		}
	}
	return true
}
