package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

func lockNextOrder(t *testing.T, s hub.Store) {
	write(t, s, func(ctx context.Context, tx hub.Tx) error {
		_, found, err := tx.LockNext(ctx)
		equal(t, "found in an empty line", found, false)
		return err
	})
	set := func(p int, d time.Duration) func(*hub.Request) {
		return func(r *hub.Request) { r.Priority, r.EnqueuedAt = p, at(d) }
	}
	late, normal, twin, urgent, high := add(t, s, set(0, time.Hour)), add(t, s, set(0, 0)), add(t, s, set(0, 0)), add(t, s, set(2, time.Minute)), add(t, s, set(1, time.Second))
	add(t, s, func(r *hub.Request) { r.Priority, r.State = 2, hub.Failed })
	for _, want := range []*hub.Request{urgent, high, normal, twin, late} {
		write(t, s, func(ctx context.Context, tx hub.Tx) error {
			r, found, err := tx.LockNext(ctx)
			if err != nil || !found {
				t.Fatalf("found %v, %v", found, err)
			}
			equal(t, "next", r, want)
			r.State, r.AssignedTo = hub.InProgress, "opr_1"
			return tx.UpdateRequest(ctx, r)
		})
	}
}

// lockNextContested: however many take from the line at once, each gets a request of its own and none is left.
func lockNextContested(t *testing.T, s hub.Store) {
	const workers, requests = 8, 40
	for range requests {
		add(t, s)
	}
	ctx := ctxOf(t)
	took := make([][]string, workers)
	allFine(t, together(workers, func(i int) error {
		for {
			var id string
			err := s.Write(ctx, func(tx hub.Tx) error {
				r, found, err := tx.LockNext(ctx)
				if id = ""; err != nil || !found {
					return err
				}
				r.State, r.AssignedTo, id = hub.InProgress, "opr_1", r.ID
				return tx.UpdateRequest(ctx, r)
			})
			if err != nil || id == "" {
				return err
			}
			took[i] = append(took[i], id)
		}
	}))
	all := slices.Concat(took...)
	slices.Sort(all)
	equal(t, "requests taken", len(slices.Compact(slices.Clone(all))), requests)
	equal(t, "claims", len(all), requests)
}

// lockSeesWhatTheOtherWrote: who waited for a lock sees the row as the holder left it, with the names that go with it.
func lockSeesWhatTheOtherWrote(t *testing.T, s hub.Store) {
	write(t, s, func(ctx context.Context, tx hub.Tx) error {
		return tx.InsertOperator(ctx, newOperator("opr_winner", "Wilma"))
	})
	for range 10 {
		id := add(t, s).ID
		ctx := ctxOf(t)
		held := make(chan struct{})
		got := make(chan *hub.Request, 1)
		go func() {
			defer close(got)
			<-held
			_ = s.Write(ctx, func(tx hub.Tx) error {
				r, err := tx.LockRequest(ctx, id)
				got <- r
				return err
			})
		}()
		once := false
		write(t, s, func(ctx context.Context, tx hub.Tx) error {
			r, err := tx.LockRequest(ctx, id)
			if err != nil {
				return err
			}
			if !once {
				once = true
				close(held)
			}
			r.State, r.AssignedTo = hub.InProgress, "opr_winner"
			return tx.UpdateRequest(ctx, r)
		})
		r := <-got
		if r == nil {
			t.Fatal("the waiting one got nothing")
		}
		equal(t, "state", r.State, hub.InProgress)
		equal(t, "version", r.Version, int64(2))
		equal(t, "assignee", r.AssignedTo, "opr_winner")
		equal(t, "assignee's name", r.AssigneeName, "Wilma")
	}
}

func abandonedRequests(t *testing.T, s hub.Store) {
	want := map[string][]string{}
	for _, worker := range []string{"", "ins_dead", "ins_live"} {
		for _, state := range hub.States {
			r := add(t, s, func(r *hub.Request) { r.State, r.Worker = state, worker })
			if state == hub.InProgress || state == hub.CredentialsReceived || state == hub.Migrating {
				want[worker] = append(want[worker], r.ID)
			}
		}
	}
	both := slices.Concat(want["ins_dead"], want["ins_live"])
	for _, c := range []struct {
		live []string
		n    int
		want []string
	}{
		{[]string{"ins_live", "ins_other"}, 10, want["ins_dead"]},
		{[]string{"ins_live", "ins_dead"}, 10, nil},
		{nil, 10, both},
		{[]string{}, 10, both},
	} {
		var got []string
		write(t, s, func(ctx context.Context, tx hub.Tx) error {
			l, err := tx.Abandoned(ctx, c.live, c.n)
			for _, r := range l {
				got = append(got, r.ID)
			}
			return err
		})
		slices.Sort(got)
		slices.Sort(c.want)
		equal(t, "abandoned", got, c.want)
	}
	write(t, s, func(ctx context.Context, tx hub.Tx) error {
		l, err := tx.Abandoned(ctx, nil, 2)
		equal(t, "at most two", len(l), 2)
		return err
	})
}

func pendingAutomatic(t *testing.T, s hub.Store) {
	add(t, s, func(r *hub.Request) { r.Way, r.Priority = hub.ByOperator, 2 })
	add(t, s, func(r *hub.Request) { r.State = hub.Migrating })
	second := add(t, s)
	first := add(t, s, func(r *hub.Request) { r.Priority = 1 })
	third := add(t, s)
	for n, want := range map[int][]string{1: {first.ID}, 2: {first.ID, second.ID}, 9: {first.ID, second.ID, third.ID}} {
		l := get(t, s, func(ctx context.Context, tx hub.Tx) ([]*hub.Request, error) { return tx.PendingAutomatic(ctx, n) })
		var got []string
		for _, r := range l {
			got = append(got, r.ID)
		}
		equal(t, "first of the line", got, want)
	}
}
