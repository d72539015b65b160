package queue_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/kitshub/kitshub/internal/queue"
)

// TestRankIsThePlaceOnceJoined: where somebody would stand is where he stands when he has joined, and the sums follow.
func TestRankIsThePlaceOnceJoined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := queue.New()
		var versions int64
		n := rapid.IntRange(0, 60).Draw(t, "n")
		for i := range n + 1 {
			c := queue.Change{
				ID: fmt.Sprintf("req_7%024d0", i), Version: rapid.Int64Range(1, 9).Draw(t, "version"), Pending: true,
				Key: queue.Key{Priority: rapid.IntRange(0, 2).Draw(t, "priority"), EnqueuedAt: rapid.Int64Range(0, 5).Draw(t, "at")},
				Way: queue.Way(rapid.IntRange(0, 1).Draw(t, "way")),
			}
			would := x.View().Rank(c.Key, c.ID, c.Way)
			if !x.Apply(c) {
				t.Fatal("a new change was not taken")
			}
			versions += c.Version
			is, ok := x.Place(c.ID)
			if !ok || is.Version != c.Version {
				t.Fatalf("place %+v, %v; want version %d", is, ok, c.Version)
			}
			is.Revision, is.Version, would.Revision = 0, 0, 0
			if is != would {
				t.Fatalf("would stand at %+v, stands at %+v", would, is)
			}
		}
		gone := queue.Change{ID: fmt.Sprintf("req_7%024d0", 0), Version: 100}
		p, _ := x.Place(gone.ID) // always there: it joined first
		x.Apply(gone)
		if have, sum := x.Sum(); have != n || sum != versions-p.Version {
			t.Fatalf("%d wait with versions %d; want %d with %d", have, sum, n, versions-p.Version)
		}
		if err := x.Reset(func(add func(queue.Change)) error { add(queue.Change{ID: "x", Version: 7, Pending: true}); return nil }); err != nil {
			t.Fatal(err)
		}
		if have, sum := x.Sum(); have != 1 || sum != 7 {
			t.Fatalf("after a reset %d wait with versions %d; want 1 with 7", have, sum)
		}
	})
}
