package queue

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

func change(id string, version int64, priority int, at int64) Change {
	return Change{ID: id, Version: version, Pending: true, Key: Key{priority, at}}
}

func left(id string, version int64) Change { return Change{ID: id, Version: version} }

func order(v View) string {
	var ids []string
	for e := range v.All() {
		ids = append(ids, e.ID)
	}
	return strings.Join(ids, " ")
}

// The contract's order: priority descending, then time, then id.
func TestOrder(t *testing.T) {
	x := New()
	for _, c := range []Change{
		change("d", 1, 0, 5), change("b", 1, 2, 9), change("c", 1, 0, 4), change("a", 1, 1, math.MaxInt64), change("e", 1, 0, 5),
		change("f", 1, 2, math.MinInt64),
	} {
		if !x.Apply(c) {
			t.Fatal(c)
		}
	}
	if got := order(x.View()); got != "f b a c d e" {
		t.Fatal(got)
	}
	want := Place{Position: 5, Ahead: 4, AheadSameWay: 4, AheadByClass: [Classes]int{1, 1, 2}, Key: Key{0, 5}, Version: 1, Revision: 6}
	if got, ok := x.Place("d"); !Sabotaged && (!ok || got != want) {
		t.Fatalf("%+v", got)
	}
	if p, ok := x.Place("nobody"); ok {
		t.Fatal(p)
	}
}

// Versions decide, not the order of arrival; also over somebody who has left.
func TestVersions(t *testing.T) {
	x := New()
	for i, s := range []struct {
		c    Change
		want bool
		line string
	}{
		{change("a", 3, 0, 1), true, "a"},
		{change("a", 3, 2, 1), false, "a"},
		{left("a", 2), false, "a"},
		{left("a", 4), true, ""},
		{change("a", 4, 0, 1), false, ""},
		{change("a", 3, 0, 1), false, ""},
		{left("b", 7), true, ""}, // left before we heard that it came
		{change("b", 6, 0, 1), false, ""},
		{change("a", 5, 0, 1), true, "a"}, // released, where it stood
		{change("b", 8, 1, 1), true, "b a"},
	} {
		if got := x.Apply(s.c); got != s.want || order(x.View()) != s.line {
			t.Fatalf("%d: %+v: %v, %q", i, s.c, got, order(x.View()))
		}
	}
}

func TestMalformedChangesAreRefused(t *testing.T) {
	bad := []Change{
		change("", 1, 0, 0), change("a", -1, 0, 0), change("a", MaxVersion+1, 0, 0), change("a", 1, -1, 0), change("a", 1, Classes, 0),
		{ID: "a", Version: 1, Pending: true, Way: ways},
	}
	x := New()
	for _, c := range bad {
		if x.Apply(c) || c.Check() == nil {
			t.Errorf("%+v was taken", c)
		}
	}
	if n := x.ApplyAll(append(slices.Clone(bad), change("b", MaxVersion, 2, 0))); n != 1 || order(x.View()) != "b" {
		t.Errorf("%d applied, %q", n, order(x.View()))
	}
	if s := x.Stats(); s != (Stats{Pending: 1, Refused: uint64(2 * len(bad)), Revision: 1}) {
		t.Errorf("%+v", s)
	}
}

// What is remembered of removed ids is bounded by number and by Forget.
func TestTombstones(t *testing.T) {
	x := New(Remember(10))
	ids := manyIDs(3000, 1)
	for _, id := range ids {
		x.Apply(change(id, 1, 0, 0))
		x.Apply(left(id, 2))
	}
	newest, oldest := ids[len(ids)-1], ids[0]
	if n := x.Stats().Tombstones; n != 10 || x.Apply(change(newest, 1, 0, 0)) || !x.Apply(change(oldest, 1, 0, 0)) {
		t.Fatalf("%d tombstones", n)
	}
	mark := x.Mark()
	x.Apply(left(oldest, 3)) // after the mark
	x.Forget(mark)
	if n := x.Stats().Tombstones; n != 1 || x.Apply(change(oldest, 2, 0, 0)) || !x.Apply(change(newest, 1, 0, 0)) {
		t.Fatalf("%d tombstones", n)
	}
	if c := x.core.Load().texts(); len(c.byText) != 1 { // that of oldest, which is of a foreign form
		t.Errorf("%v are still in the side table", c.byText)
	}
	used := 0
	for i := range x.core.Load().table.pieces {
		p := &x.core.Load().table.pieces[i]
		used += p.size()
	}
	if used > 2*minSlots*pieces {
		t.Errorf("%d slots for two ids", used)
	}
}

// A tombstone that has become outdated must not take its id with it.
func TestForgetKeepsWhoCameBack(t *testing.T) {
	x := New()
	x.Apply(left("a", 1))
	x.Apply(change("a", 2, 0, 0))
	x.Apply(left("b", 1))
	mark := x.Mark()
	x.Apply(left("b", 2))
	x.Forget(mark)
	if order(x.View()) != "a" || x.Apply(change("a", 2, 0, 0)) || x.Apply(change("b", 2, 0, 0)) {
		t.Fatal(order(x.View()))
	}
	x.Forget(math.MaxUint64)
	if s := x.Stats(); s.Tombstones != 0 || order(x.View()) != "a" {
		t.Fatalf("%+v", s)
	}
}

// Changes that arrive during a Reset are in the new line, whether load saw them or not, and nothing else of the old line is.
func TestReset(t *testing.T) {
	x := New()
	x.ApplyAll([]Change{change("old", 9, 0, 0), change("back", 9, 0, 0), change("x", 1, 0, 0)})
	before, mark := x.Revision(), x.Mark()
	err := x.Reset(func(add func(Change)) error {
		add(change("back", 2, 0, 3)) // the database was restored: version 9 is not known any more
		add(change("claimed", 4, 0, 1))
		x.Apply(left("claimed", 5))
		x.Apply(change("joined", 1, 0, 2))
		x.Apply(left("seen", 1)) // load saw more than this
		add(change("seen", 2, 0, 4))
		add(change("seen", 3, 0, 5))
		add(left("gone", 7))
		add(change("gone", 6, 0, 0))
		add(change("early", 1, 0, 0))
		add(change("", 1, 0, 0))
		if got := order(x.View()); got != "old back x joined" && got != "back old x joined" {
			t.Errorf("meanwhile the line was %q", got)
		}
		return nil
	})
	x.Forget(mark) // from before
	if got := order(x.View()); err != nil || got != "early joined back seen" || x.Revision() <= before || x.Stats().Refused != 1 {
		t.Fatalf("%q, %v, %+v", got, err, x.Stats())
	}
	if x.Apply(change("gone", 6, 0, 0)) || x.Apply(change("claimed", 4, 0, 0)) || !x.Apply(change("old", 1, 0, 9)) {
		t.Fatal(order(x.View()))
	}
}

func TestResetThatFails(t *testing.T) {
	x := New()
	x.Apply(change("a", 1, 0, 0))
	broken := errors.New("broken")
	err := x.Reset(func(add func(Change)) error {
		add(change("b", 1, 0, 0))
		x.Apply(change("c", 1, 0, 0))
		return broken
	})
	if !errors.Is(err, broken) || order(x.View()) != "a c" || x.during != nil || x.loading {
		t.Fatal(err, order(x.View()))
	}
}

// More changes during a Reset than can be caught up with while writers wait.
func TestResetUnderLoad(t *testing.T) {
	x := New()
	n := 3*few + 1
	err := x.Reset(func(func(Change)) error {
		for i := range n {
			x.Apply(person(i))
		}
		return nil
	})
	if err != nil || x.Len() != n {
		t.Fatal(err, x.Len())
	}
	if err := sound(x.View()); err != nil {
		t.Fatal(err)
	}
}

// Pages by key go on behind the last entry of the page before, also when that has left.
func TestPages(t *testing.T) {
	x := New()
	w := newWorld(manyIDs(2000, 5))
	for i := range 3000 {
		x.Apply(w.next(func(n int) int { return i * 7919 % 10007 % n }))
	}
	v := x.View()
	want := slices.Collect(v.All())
	if len(want) < 500 || len(v.Head(0)) != 0 || !slices.Equal(v.Head(70), want[:70]) || !slices.Equal(v.Head(1<<30), want) {
		t.Fatal(len(want))
	}
	var got []Entry
	key, id := Key{Priority: math.MaxInt}, ""
	for {
		n := len(got)
		for e := range v.After(key, id) {
			got = append(got, e)
			if len(got) == n+50 {
				break
			}
		}
		if len(got) == n {
			break
		}
		key, id = got[len(got)-1].Key, got[len(got)-1].ID
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%d by pages, want %d", len(got), len(want))
	}
	e := want[100]
	x.Apply(left(e.ID, 1000))
	next := want[101]
	for f := range x.View().After(e.Key, e.ID) {
		if f != next {
			t.Fatalf("%+v follows %+v, want %+v", f, e, next)
		}
		break
	}
	for f := range v.After(next.Key, "") { // from the first of that time on
		if f.Key != next.Key {
			t.Fatalf("%+v", f)
		}
		break
	}
	for f := range v.After(Key{Priority: -1}, "") {
		t.Fatalf("%+v is behind the end", f)
	}
}

// A view does not change, whatever becomes of the line.
func TestViewStays(t *testing.T) {
	x := New()
	for i := range 5000 {
		x.Apply(person(i))
	}
	v, want := x.View(), slices.Collect(x.View().All())
	for i := range 5000 {
		x.Apply(left(person(i).ID, 2))
	}
	if x.Len() != 0 || v.Len() != 5000 || !slices.Equal(slices.Collect(v.All()), want) {
		t.Fatal(x.Len(), v.Len())
	}
}
