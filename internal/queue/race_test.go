package queue

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// Readers beside writers. A frozen part of the line stands still while all others come, go and change class around it: the urgent ones at
// places that never change, those in the middle in an order that never changes and with as many of their own kind between them.
func TestReadersBesideWriters(t *testing.T) {
	const urgent, middle, moving, rounds = 50, 300, 600, 2000
	x := New(Remember(100))
	for i := range urgent {
		x.Apply(change(person(i).ID, 1, 2, int64(i)-1_000_000))
	}
	for i := range middle {
		x.Apply(change(person(1000+i).ID, 1, 1, int64(i)*10))
	}
	var writers, readers sync.WaitGroup
	var stop atomic.Bool
	for w := range 2 {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			versions := map[int]int64{}
			for round := range rounds {
				var batch []Change
				for range 1 + round%3 {
					i := r.IntN(moving/2)*2 + w
					versions[i]++
					batch = append(batch, Change{
						ID: movingID(i), Version: versions[i], Pending: r.IntN(3) > 0, Way: Way(r.IntN(ways)),
						Key: Key{r.IntN(Classes), int64(r.IntN(middle * 10))},
					})
				}
				if len(batch) == 1 {
					x.Apply(batch[0])
				} else {
					x.ApplyAll(batch)
				}
			}
		})
	}
	writers.Go(func() {
		for range 5 {
			v := x.View()
			_ = x.Reset(func(add func(Change)) error { // as the line is, and from then on the writers' changes
				for e := range v.All() {
					if e.Key.Priority == 2 && e.Key.EnqueuedAt < 0 || e.Key.Priority == 1 && isMiddle(e) {
						add(Change{e.ID, 1, true, e.Key, e.Way})
					}
				}
				return nil
			})
		}
	})
	fail := make(chan error, 4)
	for n := range 2 {
		readers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(n), 2))
			for !stop.Load() {
				if err := look(x, r, urgent, middle); err != nil {
					fail <- err
					return
				}
			}
		})
	}
	writers.Wait()
	stop.Store(true)
	readers.Wait()
	select {
	case err := <-fail:
		t.Fatal(err)
	default:
	}
	if err := sound(x.View()); err != nil {
		t.Fatal(err)
	}
}

func movingID(i int) string {
	if i%10 == 0 {
		return fmt.Sprint("foreign ", i)
	}
	return person(5000 + i).ID
}

// frozenIDs are those of the middle, by their number.
var frozenIDs = sync.OnceValue(func() (ids [300]string) {
	for i := range ids {
		ids[i] = person(1000 + i).ID
	}
	return ids
})

func isMiddle(e Entry) bool {
	ids := frozenIDs()
	i := int(e.Key.EnqueuedAt / 10)
	return i >= 0 && i < len(ids) && e.ID == ids[i]
}

// look checks all that must hold at any instant.
func look(x *Index, r *rand.Rand, urgent, middle int) error {
	i := r.IntN(urgent)
	if p, ok := x.Place(person(i).ID); !ok || p.Position != i+1 || p.Ahead != i {
		return fmt.Errorf("the urgent one %d is at %+v, %v", i, p, ok)
	}
	a := r.IntN(middle)
	p, ok := x.Place(person(1000 + a).ID)
	if !ok || p.Key != (Key{1, int64(a) * 10}) || p.AheadByClass[0] != 0 || p.AheadByClass[1] < a || p.AheadByClass[2] < urgent {
		return fmt.Errorf("the middle one %d is at %+v, %v", a, p, ok)
	}
	m := r.IntN(600)
	if p, ok := x.Place(movingID(m)); ok && (p.Position < 1+urgent || p.Ahead != p.AheadByClass[0]+p.AheadByClass[1]+p.AheadByClass[2]) {
		return fmt.Errorf("a moving one is at %+v", p)
	}
	v := x.View()
	n, frozen := 0, 0
	var last Entry
	for e := range v.All() {
		if n > 0 && inOrder(last, e) >= 0 {
			return fmt.Errorf("%+v stands before %+v", last, e)
		}
		if isMiddle(e) {
			frozen++
		}
		last = e
		n++
	}
	if n != v.Len() || frozen != middle {
		return fmt.Errorf("%d counted in a line of %d, %d of the %d frozen", n, v.Len(), frozen, middle)
	}
	return nil
}

// What one goroutine has applied, any other sees at once.
func TestReadAfterWrite(t *testing.T) {
	x := New()
	var others sync.WaitGroup
	for w := range 4 {
		others.Go(func() {
			for i := range 3000 {
				id := person(w*10_000 + i%50).ID
				version, in := int64(i/50+1), i/50%2 == 0
				x.Apply(Change{ID: id, Version: version, Pending: in, Key: Key{Priority: i % Classes, EnqueuedAt: int64(i)}})
				if p, ok := x.Place(id); ok != in || ok && p.Key != (Key{i % Classes, int64(i)}) {
					t.Errorf("after %v of %s it is at %+v, %v", in, id, p, ok)
					return
				}
			}
		})
	}
	others.Wait()
}
