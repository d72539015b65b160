//go:build unix

package placemodel

import (
	"math/rand/v2"
	"testing"

	"github.com/kitshub/kitshub/internal/proof/placekit"
)

func TestModel(t *testing.T) {
	m := newModel()
	for i, w := range []placekit.Waiting{{ID: "c", Priority: 0, At: 1}, {ID: "b", Priority: 2, At: 9}, {ID: "a", Priority: 2, At: 9}, {ID: "d", Priority: 1, At: 0}} {
		m.add(&customer{Waiting: w, state: pending})
		if m.waiting() != i+1 {
			t.Fatalf("%d wait", m.waiting())
		}
	}
	order := func() (ids string) {
		for _, c := range m.line() {
			ids += c.ID
		}
		return ids
	}
	if order() != "abdc" || m.head().ID != "a" || !m.certain() {
		t.Errorf("the line is %s, its head %s", order(), m.head().ID)
	}
	g := rand.New(rand.NewPCG(1, 1))
	c := m.reserve(g, pending)
	m.settle(c, inProgress, c.Priority)
	if m.waiting() != 3 || m.reserve(g, inProgress) != c || m.reserve(g, inProgress) != nil {
		t.Error("who is claimed still waits, or is moved by two")
	}
	m.settle(c, pending, 0)
	d := m.reserve(g, pending)
	m.doubt(d)
	if m.certain() || m.waiting() != 4 {
		t.Error("a move without an answer leaves no doubt")
	}
	for range 20 {
		if e := m.reserve(g, pending); e == d {
			t.Fatal("who is in doubt is moved again")
		} else if e != nil {
			m.free(e)
		}
	}
}
