package queue

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// model is the line as one would write it down: all that is known of each id, sorted whenever somebody asks.
type model map[string]Change

func (m model) apply(c Change) bool {
	if k, ok := m[c.ID]; ok && c.Version <= k.Version {
		return false
	}
	m[c.ID] = c
	return true
}

func (m model) line() []Entry {
	var l []Entry
	for _, c := range m {
		if c.Pending {
			l = append(l, Entry{c.ID, c.Key, c.Way})
		}
	}
	slices.SortFunc(l, inOrder)
	return l
}

func inOrder(a, b Entry) int {
	return cmp.Or(-cmp.Compare(a.Key.Priority, b.Key.Priority), cmp.Compare(a.Key.EnqueuedAt, b.Key.EnqueuedAt), cmp.Compare(a.ID, b.ID))
}

// places is what the index has to answer for each of the line.
func places(l []Entry, revision uint64) map[string]Place {
	out := make(map[string]Place, len(l))
	var byClass [Classes]int
	var byWay [ways]int
	for i, e := range l {
		out[e.ID] = Place{
			Position: i + 1, Ahead: i, AheadSameWay: byWay[e.Way], AheadByClass: byClass, Key: e.Key, Way: e.Way, Revision: revision,
		}
		byClass[e.Key.Priority]++
		byWay[e.Way]++
	}
	return out
}

// compare says where the index differs from the model.
func compare(x *Index, m model) error {
	line := m.line()
	v := x.View()
	if got := slices.Collect(v.All()); !slices.Equal(got, line) {
		return errors.New("the line differs: " + gocmp.Diff(line, got))
	}
	want := places(line, x.Revision())
	var counts Counts
	var versions int64
	for i, e := range line {
		counts[e.Key.Priority][e.Way]++
		place := want[e.ID]
		place.Version = m[e.ID].Version
		versions += place.Version
		if got, ok := x.Place(e.ID); !ok || got != place {
			return fmt.Errorf("the place of %s is %+v, %v; want %+v", e.ID, got, ok, place)
		}
		if got, ok := v.At(i + 1); !ok || got != e {
			return fmt.Errorf("at %d is %+v, %v; want %+v", i+1, got, ok, e)
		}
	}
	for id, c := range m {
		if p, ok := x.Place(id); !c.Pending && ok {
			return fmt.Errorf("%s has left and is at %+v", id, p)
		}
	}
	if v.Counts() != counts || v.Len() != len(line) || counts.Total() != len(line) {
		return fmt.Errorf("counts are %v, length %d; want %v", v.Counts(), v.Len(), counts)
	}
	if n, sum := x.Sum(); n != len(line) || sum != versions {
		return fmt.Errorf("the sums are %d and %d, want %d and %d", n, sum, len(line), versions)
	}
	if _, ok := v.At(len(line) + 1); ok {
		return errors.New("somebody stands behind the end")
	}
	if err := oldest(v, line); err != nil {
		return err
	}
	return sound(v)
}

func oldest(v View, line []Entry) error {
	got, ok := v.Oldest()
	if len(line) == 0 {
		if ok {
			return fmt.Errorf("the oldest of nobody is %+v", got)
		}
		return nil
	}
	want := slices.MinFunc(line, func(a, b Entry) int { return cmp.Compare(a.Key.EnqueuedAt, b.Key.EnqueuedAt) })
	if !ok || got != want {
		return fmt.Errorf("the oldest is %+v, %v; want %+v", got, ok, want)
	}
	return nil
}

// sound checks the trees from within: equal depth, sums that add up, bounds that hold, no node overfull or empty.
func sound(v View) error {
	for p, root := range v.line.class {
		s, _, err := soundNode(root, v.line.texts)
		if err != nil {
			return fmt.Errorf("class %d: %w", p, err)
		}
		if c := v.line.counts; int(s.all) != c.Class(p) || int(s.ops) != c[p][Operator] {
			return fmt.Errorf("class %d sums up to %v, counted are %v", p, s, c[p])
		}
	}
	return nil
}

func soundNode(n node, x *texts) (s sums, depth int, err error) {
	if n.empty() {
		return sums{}, 0, nil
	}
	if n.size() == 0 {
		return s, 0, errors.New("an empty node")
	}
	if n.lf != nil {
		if n.lf.ops>>n.lf.n != 0 {
			return s, 0, errors.New("ways of nobody")
		}
		return n.lf.sums(), 1, nil
	}
	for i := range n.in.n {
		c := n.in.child(i)
		if c.empty() || n.in.before[i] != s {
			return s, 0, fmt.Errorf("before child %d are %v, counted %v", i, s, n.in.before[i])
		}
		cs, d, err := soundNode(c, x)
		if err != nil {
			return s, 0, err
		}
		if depth != 0 && d != depth {
			return s, 0, fmt.Errorf("depths %d and %d", depth, d)
		}
		depth, s = d, s.plus(cs)
		first, _ := c.at(0)
		last, _ := c.at(int(cs.all) - 1)
		if i > 0 && first.at < n.in.at[i] || i+1 < n.in.n && last.at > n.in.at[i+1] {
			return s, 0, fmt.Errorf("child %d is out of its bounds", i)
		}
	}
	if s != n.in.sum {
		return s, 0, fmt.Errorf("sums up to %v, counted %v", s, n.in.sum)
	}
	return s, depth + 1, nil
}

// world makes changes as requests would, and delivers them as a bad network would.
type world struct {
	ids   []string
	state map[string]Change // as the database has it
	sent  []Change          // all ever made, to be delivered again
}

func newWorld(ids []string) *world { return &world{ids: ids, state: map[string]Change{}} }

// next changes one request: it joins, is claimed, is released to where it stood, or changes its class, way or nothing of importance.
func (w *world) next(intn func(int) int) Change {
	id := w.ids[intn(len(w.ids))]
	c, ok := w.state[id]
	switch {
	case !ok:
		// Few different times, so that ids decide often.
		c = Change{ID: id, Pending: true, Key: Key{Priority: intn(Classes), EnqueuedAt: int64(intn(40) - 5)}, Way: Way(intn(ways))}
	case !c.Pending:
		c.Pending = true
	default:
		switch intn(6) {
		case 0:
			c.Key.Priority = intn(Classes)
		case 1:
			c.Way = Way(intn(ways))
		case 2: // a note
		default:
			c.Pending = false
		}
	}
	c.Version += 1 + int64(intn(3))
	w.state[id] = c
	w.sent = append(w.sent, c)
	return c
}

func manyIDs(n int, seed uint64) []string {
	r := rand.New(rand.NewPCG(seed, seed))
	ids := slices.Clone(foreign[1:])
	for i := range n {
		ids = append(ids, testID(uint64(1_700_000_000_000+i/3), r))
	}
	return ids
}

// Any mixture of joins, claims, releases, moves and batches, late, twice and in any order, gives the line of the reference.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(manyIDs(rapid.IntRange(1, 400).Draw(t, "ids"), rapid.Uint64().Draw(t, "seed")))
		x, m := New(), model{}
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "deliveries"), 1))
		var held []Change
		t.Repeat(map[string]func(*rapid.T){
			"one": func(t *rapid.T) {
				c := w.next(r.IntN)
				if got, want := x.Apply(c), m.apply(c); got != want {
					t.Fatalf("%+v: applied %v, want %v", c, got, want)
				}
			},
			"late": func(*rapid.T) { held = append(held, w.next(r.IntN)) },
			"twice": func(t *rapid.T) {
				if len(w.sent) == 0 {
					return
				}
				c := w.sent[r.IntN(len(w.sent))]
				if got, want := x.Apply(c), m.apply(c); got != want {
					t.Fatalf("%+v: applied %v, want %v", c, got, want)
				}
			},
			"held": func(*rapid.T) {
				r.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
				x.ApplyAll(held)
				for _, c := range held {
					m.apply(c)
				}
				held = nil
			},
			"many": func(*rapid.T) {
				for range 100 {
					c := w.next(r.IntN)
					x.Apply(c)
					m.apply(c)
				}
			},
			"batch": func(*rapid.T) {
				var cs []Change
				for range 200 {
					cs = append(cs, w.next(r.IntN))
				}
				x.ApplyAll(cs)
				for _, c := range cs {
					m.apply(c)
				}
			},
			"reset": func(t *rapid.T) {
				resetAs(t, x, m, r)
			},
			"": func(t *rapid.T) {
				if err := compare(x, m); err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}

// resetAs builds the line anew from what the model knows, in a random order.
func resetAs(t *rapid.T, x *Index, m model, r *rand.Rand) {
	var stream []Change
	for _, e := range m.line() {
		stream = append(stream, m[e.ID])
	}
	for _, c := range m {
		if !c.Pending {
			stream = append(stream, c)
		}
	}
	if r.IntN(2) == 0 {
		r.Shuffle(len(stream), func(i, j int) { stream[i], stream[j] = stream[j], stream[i] })
	}
	err := x.Reset(func(add func(Change)) error {
		for _, c := range stream {
			add(c)
			if r.IntN(10) == 0 { // twice, and once more as it was
				add(c)
				c.Version--
				c.Pending = !c.Pending
				if c.Version >= 0 {
					add(c)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// large is the same without rapid, at a size at which the trees are three levels deep and shrink again; the error is the first difference.
func large(seed uint64, people, changes int) error {
	r := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(manyIDs(people, seed))
	x, m := New(), model{}
	for round, phase := range []int{2, 6, 3} { // of ten changes so many are kept back, to arrive in a batch
		var held []Change
		for range changes {
			c := w.next(r.IntN)
			if r.IntN(10) < phase {
				held = append(held, c)
				continue
			}
			x.Apply(c)
			m.apply(c)
		}
		r.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
		x.ApplyAll(held)
		for _, c := range held {
			m.apply(c)
		}
		if err := compare(x, m); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	for _, e := range m.line() { // and all leave, in random order
		c := m[e.ID]
		c.Version, c.Pending = c.Version+1, false
		x.Apply(c)
		m.apply(c)
	}
	return compare(x, m)
}

func TestLarge(t *testing.T) {
	if err := large(3, 20_000, 60_000); err != nil {
		t.Fatal(err)
	}
}

// The model must find the planted bug when it is built in (-tags sabotage), and nothing otherwise. With the tag the other tests here fail,
// as they should.
func TestPlantedBug(t *testing.T) {
	err := large(1, 200, 2_000)
	if Sabotaged != (err != nil) {
		t.Fatalf("sabotaged: %v, found: %v", Sabotaged, err)
	}
}
