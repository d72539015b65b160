package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

func beat(t *testing.T, s hub.Store, id, home string, workers int) (now time.Time) {
	t.Helper()
	write(t, s, func(ctx context.Context, tx hub.Tx) error { now = tx.Now(); return tx.Beat(ctx, id, home, workers) })
	return now
}

func live(t *testing.T, s hub.Store, since time.Time) []hub.Instance {
	t.Helper()
	return get(t, s, func(ctx context.Context, tx hub.Tx) ([]hub.Instance, error) { return tx.LiveInstances(ctx, since) })
}

func instanceLife(t *testing.T, s hub.Store) {
	equal(t, "at first", len(live(t, s, time.Unix(0, 0))), 0)
	a, b := beat(t, s, "ins_a", "home 1", 4), beat(t, s, "ins_b", "home 2", 2)
	equal(t, "both", live(t, s, a), []hub.Instance{{ID: "ins_a", Workers: 4, BeatAt: a}, {ID: "ins_b", Workers: 2, BeatAt: b}})
	a2 := beat(t, s, "ins_a", "home 1", 5)
	if !a2.After(b) {
		t.Fatalf("two transactions at %v and %v cannot be told apart", b, a2)
	}
	equal(t, "since", live(t, s, a2), []hub.Instance{{ID: "ins_a", Workers: 5, BeatAt: a2}})
	equal(t, "since later", len(live(t, s, a2.Add(time.Microsecond))), 0)
	for range 2 { // the second time is no error
		write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.RemoveInstance(ctx, "ins_a") })
	}
	equal(t, "removed", live(t, s, b), []hub.Instance{{ID: "ins_b", Workers: 2, BeatAt: b}})
}

func buryInstances(t *testing.T, s hub.Store) {
	bury := func(since time.Time, home, except string) (ids []string) {
		write(t, s, func(ctx context.Context, tx hub.Tx) (err error) {
			ids, err = tx.BuryInstances(ctx, since, home, except)
			return err
		})
		slices.Sort(ids)
		return ids
	}
	beat(t, s, "ins_old", "home 1", 1)
	former := beat(t, s, "ins_former", "home 2", 1)
	beat(t, s, "ins_other", "home 3", 1)
	beat(t, s, "ins_me", "home 2", 1)
	equal(t, "by age", bury(former, "home 9", "ins_me"), []string{"ins_old"})
	equal(t, "by home", bury(time.Unix(0, 0), "home 2", "ins_me"), []string{"ins_former"})
	equal(t, "nobody left", len(bury(time.Unix(0, 0), "home 2", "ins_me")), 0)
	equal(t, "never oneself", bury(time.Now().Add(time.Hour), "home 2", "ins_me"), []string{"ins_other"})
	left := live(t, s, time.Unix(0, 0))
	equal(t, "left", len(left), 1)
	equal(t, "me", left[0].ID, "ins_me")
}
