package jobs

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// A retry runs at its time and not before, also in another process than the one that enqueued it, and is tried until it went well.
func TestARetryComesAtItsTime(t *testing.T) {
	onEngines(t, func(t *testing.T, r *rig) {
		t.Parallel()
		at := time.Now().Add(2 * time.Second)
		c := newTest(t, r.options("gone"), quick, &worker{})
		r.commit(t, func(tx hub.Tx) {
			noError(t, c.EnqueueRetry(t.Context(), tx, hub.Again{RequestID: "req_1", Fence: 7, At: at}))
		})
		ran := make(chan hub.Again, 10)
		fails := true
		start(t, newTest(t, r.options("next"), polling(quick), &worker{again: func(_ context.Context, a hub.Again) error {
			ran <- a
			if fails {
				fails = false
				return errors.New("the hub's database is away")
			}
			return nil
		}}))
		for range 2 {
			a := receive(t, ran, "the retry")
			if time.Now().Before(at) || a.RequestID != "req_1" || a.Fence != 7 {
				t.Errorf("%+v, %s early", a, time.Until(at))
			}
		}
	})
}

// What the hub retries by itself has workers of its own: while all of them hang, a new request is worked at once.
func TestRetriedRequestsHoldUpNobody(t *testing.T) {
	onEngines(t, func(t *testing.T, r *rig) {
		t.Parallel()
		hold, ran := make(chan struct{}), make(chan string, 10)
		c := newTest(t, r.options("a"), quick, &worker{provision: func(ctx context.Context, id string) error {
			ran <- id
			if id == key(1).ID {
				select {
				case <-hold:
				case <-ctx.Done():
				}
			}
			return nil
		}})
		start(t, c)
		r.commit(t, func(tx hub.Tx) {
			for range 5 {
				noError(t, c.EnqueueRetried(t.Context(), tx, key(1)))
			}
		})
		for range 2 {
			receive(t, ran, "a retried request")
		}
		r.commit(t, func(tx hub.Tx) { noError(t, c.EnqueueProvision(t.Context(), tx, key(2))) })
		if id := receive(t, ran, "the new request"); id != key(2).ID {
			t.Errorf("%s ran", id)
		}
		close(hold)
		for range 3 {
			receive(t, ran, "the other retried requests")
		}
	})
}
