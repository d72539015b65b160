package queue

import "math/bits"

// edit is one change of trees: nodes it made itself it may go on changing, all others it copies. Its number is used once only.
type edit struct {
	number uint64
	texts  *texts
}

// A node that has fallen to a third is merged with a neighbour if both fit into three quarters, so that neither a split nor a merge is near.
const (
	leafFew   = leafSize / 3
	leafFit   = leafSize * 3 / 4
	innerFew  = innerSize / 3
	innerFit  = innerSize * 3 / 4
	leafHalf  = leafSize / 2
	innerHalf = innerSize / 2
)

func (l *leaf) sums() sums { return l.before(l.n) }

// before is the sums of the first i entries.
func (l *leaf) before(i int) sums {
	ops := l.ops & (1<<i - 1)
	return sums{uint32(i), uint32(bits.OnesCount64(ops))} //nolint:gosec // at most 63
}

func (l *leaf) way(i int) Way { return Way(l.ops >> i & 1) } //nolint:gosec // one bit

// insert adds an entry to a tree that does not have it, and gives the new root.
func (ed *edit) insert(n node, e entry, w Way) node {
	if n.empty() {
		n = node{lf: &leaf{edit: ed.number}}
	}
	left, right := ed.into(n, e, w)
	if right.empty() {
		return left
	}
	root := &inner{edit: ed.number}
	root.open(0, left, left.low())
	root.open(1, right, right.low())
	return node{in: root}
}

// remove takes an entry out of a tree that has it, and gives the new root.
func (ed *edit) remove(n node, e entry) node {
	n, _ = ed.outOf(n, e)
	for n.in != nil && n.in.n == 1 {
		n = n.in.child(0)
	}
	return n
}

// into gives the node with the entry, and a second one to its right if it had to be split.
func (ed *edit) into(n node, e entry, w Way) (left, right node) {
	if n.lf != nil {
		a, b := ed.leafInto(ed.ownLeaf(n.lf), e, w)
		return node{lf: a}, node{lf: b}
	}
	in := ed.ownInner(n.in)
	i := in.index(e, ed.texts)
	kid, split := ed.into(in.child(i), e, w)
	in.set(i, kid)
	if split.empty() {
		in.add(i, one(w))
		return node{in: in}, node{}
	}
	in.resum(i, kid.sums())
	if in.n < innerSize {
		in.open(i+1, split, split.low())
		return node{in: in}, node{}
	}
	other := in.split(ed.number, i+1)
	if i+1 > in.n || in.n == innerSize { // the second case: the line grows at its end, and what is full stays full
		other.open(i+1-in.n, split, split.low())
	} else {
		in.open(i+1, split, split.low())
	}
	return node{in: in}, node{in: other}
}

// leafInto is into for a leaf of this edit.
func (ed *edit) leafInto(l *leaf, e entry, w Way) (left, right *leaf) {
	i := lower(l.at[:l.n], l.id[:l.n], e, ed.texts)
	if l.n < leafSize {
		l.open(i, e, w)
		return l, nil
	}
	r := &leaf{edit: ed.number}
	if i == leafSize { // joined at the end, as most do: the left one stays full
		r.open(0, e, w)
		return l, r
	}
	r.take(l, leafHalf)
	if i > leafHalf {
		r.open(i-leafHalf, e, w)
	} else {
		l.open(i, e, w)
	}
	return l, r
}

// outOf gives the node without the entry (the zero node if nothing is left), and the way the entry had.
func (ed *edit) outOf(n node, e entry) (node, Way) {
	if n.lf != nil {
		l := ed.ownLeaf(n.lf)
		i := lower(l.at[:l.n], l.id[:l.n], e, ed.texts)
		w := l.way(i)
		l.close(i)
		if l.n == 0 {
			return node{}, w
		}
		return node{lf: l}, w
	}
	in := ed.ownInner(n.in)
	i := in.index(e, ed.texts)
	kid, w := ed.outOf(in.child(i), e)
	if kid.empty() {
		in.close(i, one(w))
		if in.n == 0 {
			return node{}, w
		}
		return node{in: in}, w
	}
	in.set(i, kid)
	in.subtract(i, one(w))
	ed.merge(in, i)
	return node{in: in}, w
}

// merge joins child i with a neighbour if it has become small.
func (ed *edit) merge(in *inner, i int) {
	few, fit := leafFew, leafFit
	if !in.lowest {
		few, fit = innerFew, innerFit
	}
	if in.n < 2 || in.child(i).size() > few {
		return
	}
	if i == in.n-1 {
		i--
	}
	left, right := in.child(i), in.child(i+1)
	if left.size()+right.size() > fit {
		return
	}
	if left.lf != nil {
		l := ed.ownLeaf(left.lf)
		l.append(right.lf)
		left = node{lf: l}
	} else {
		k := ed.ownInner(left.in)
		for j := range right.in.n {
			low := right.in.at[j]
			if j == 0 { // what is less than all bounds goes to the first child, so only the parent knows its bound
				low = in.at[i+1]
			}
			k.open(k.n, right.in.child(j), low)
		}
		left = node{in: k}
	}
	in.close(i+1, right.sums())
	in.set(i, left)
	in.resum(i, left.sums())
}

func (ed *edit) ownLeaf(l *leaf) *leaf {
	if l.edit == ed.number {
		return l
	}
	c := &leaf{edit: ed.number, n: l.n, ops: l.ops}
	copy(c.at[:], l.at[:l.n])
	copy(c.id[:], l.id[:l.n])
	return c
}

func (ed *edit) ownInner(n *inner) *inner {
	if n.edit == ed.number {
		return n
	}
	c := &inner{edit: ed.number}
	c.copy(n, 0, n.n)
	return c
}

// open makes room at i and puts the entry there.
func (l *leaf) open(i int, e entry, w Way) {
	copy(l.at[i+1:l.n+1], l.at[i:l.n])
	copy(l.id[i+1:l.n+1], l.id[i:l.n])
	l.at[i], l.id[i] = e.at, e.id
	head := uint64(1)<<i - 1
	l.ops = l.ops&head | (l.ops&^head)<<1 | uint64(w)<<i
	l.n++
}

func (l *leaf) close(i int) {
	copy(l.at[i:], l.at[i+1:l.n])
	copy(l.id[i:], l.id[i+1:l.n])
	head := uint64(1)<<i - 1
	l.ops = l.ops&head | l.ops>>1&^head
	l.n--
}

// take moves the entries from i on out of another leaf into this empty one.
func (l *leaf) take(o *leaf, i int) {
	l.n = copy(l.at[:], o.at[i:o.n])
	copy(l.id[:], o.id[i:o.n])
	l.ops = o.ops >> i
	o.n, o.ops = i, o.ops&(1<<i-1)
}

// append adds the entries of the leaf to the right.
func (l *leaf) append(r *leaf) {
	copy(l.at[l.n:], r.at[:r.n])
	copy(l.id[l.n:], r.id[:r.n])
	l.ops |= r.ops << l.n
	l.n += r.n
}

// set puts a child in place i, whose bounds stay.
func (n *inner) set(i int, c node) {
	if c.lf != nil {
		n.lowest = true
	}
	n.kids[i], n.leaves[i] = c.in, c.lf
}

// add counts what child i has gained.
func (n *inner) add(i int, s sums) {
	for j := i + 1; j < n.n; j++ {
		n.before[j] = n.before[j].plus(s)
	}
	n.sum = n.sum.plus(s)
}

func (n *inner) subtract(i int, s sums) {
	for j := i + 1; j < n.n; j++ {
		n.before[j] = n.before[j].minus(s)
	}
	n.sum = n.sum.minus(s)
}

// has is the sums of child i as they are counted here.
func (n *inner) has(i int) sums {
	if i+1 < n.n {
		return n.before[i+1].minus(n.before[i])
	}
	return n.sum.minus(n.before[i])
}

// resum counts child i anew.
func (n *inner) resum(i int, s sums) {
	n.subtract(i, n.has(i))
	n.add(i, s)
}

// open makes room at i, puts the child with its lower bound there and counts it.
func (n *inner) open(i int, c node, low int64) {
	copy(n.kids[i+1:n.n+1], n.kids[i:n.n])
	copy(n.leaves[i+1:n.n+1], n.leaves[i:n.n])
	copy(n.before[i+1:n.n+1], n.before[i:n.n])
	copy(n.at[i+1:n.n+1], n.at[i:n.n])
	if i == n.n {
		n.before[i] = n.sum
	}
	n.n++
	n.at[i] = low
	n.set(i, c)
	n.add(i, c.sums())
}

// close takes child i away, which is counted with s.
func (n *inner) close(i int, s sums) {
	n.subtract(i, s)
	copy(n.kids[i:], n.kids[i+1:n.n])
	copy(n.leaves[i:], n.leaves[i+1:n.n])
	copy(n.before[i:], n.before[i+1:n.n])
	copy(n.at[i:], n.at[i+1:n.n])
	n.n--
	n.set(n.n, node{})
}

// copy takes the children from i to j of another node into this empty one.
func (n *inner) copy(o *inner, i, j int) {
	n.lowest = o.lowest
	if o.lowest {
		copy(n.leaves[:], o.leaves[i:j])
	} else {
		copy(n.kids[:], o.kids[i:j])
	}
	copy(n.at[:], o.at[i:j])
	n.n = j - i
	base := o.before[i]
	for k := range n.n {
		n.before[k] = o.before[i+k].minus(base)
	}
	n.sum = o.sum.minus(base)
	if j < o.n {
		n.sum = o.before[j].minus(base)
	}
}

// split moves the upper half of a full node into a new one; nothing if the next child comes at the end.
func (n *inner) split(edit uint64, next int) *inner {
	r := &inner{edit: edit}
	if next == innerSize {
		return r
	}
	r.copy(n, innerHalf, n.n)
	n.sum = n.before[innerHalf]
	clear(n.kids[innerHalf:n.n])
	clear(n.leaves[innerHalf:n.n])
	n.n = innerHalf
	return r
}
