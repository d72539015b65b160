package hub_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/hub/hubtest"
)

// maxWrites ends a search for the last write of a pipeline that never ends.
const maxWrites = 60

// eachWrite lets fn's process die at its first write, then at its second and so on, before the commit and after it, until it outlives them
// all. fn says whether the process died.
func eachWrite(t *testing.T, fn func(t *testing.T, k int, after bool) bool) {
	t.Helper()
	for _, after := range []bool{false, true} {
		for k := 1; ; k++ {
			if k == maxWrites {
				t.Fatal("no end of writes")
			}
			if !fn(t, k, after) {
				if k < 3 {
					t.Fatalf("only %d writes were seen", k-1)
				}
				break
			}
		}
	}
}

// eachDeath lets a process die at its first write of the hub's database, then at its second and so on, before the commit and after it, and at
// each step inside a tenant's database, until it outlives them all. fn arms it when it is ready, takes the hook off r.TenantDB when the process
// has run, and says whether it died.
func eachDeath(t *testing.T, r *hubtest.Rig, fn func(t *testing.T, dying *hubtest.Rig, arm func()) bool) {
	t.Helper()
	n, deaths := 0, map[string]int{}
	for kind, arm := range map[string]func(*hubtest.Rig, int){
		"write":  func(dying *hubtest.Rig, k int) { dying.Store.DieAt(k, false) },
		"commit": func(dying *hubtest.Rig, k int) { dying.Store.DieAt(k, true) },
		"step": func(dying *hubtest.Rig, k int) {
			var mu sync.Mutex
			dying.TenantDB.Before(func(context.Context, string) error {
				mu.Lock()
				defer mu.Unlock()
				if k--; k != 0 {
					return nil
				}
				return dying.Store.Die()
			})
		},
	} {
		for k := 1; ; k++ {
			if k == maxWrites {
				t.Fatal("no end of " + kind)
			}
			n++
			dying := r.Another(fmt.Sprintf("ins_%d", n), "home")
			if died := fn(t, dying, func() { arm(dying, k) }); !died {
				break
			}
			deaths[kind]++
		}
		if deaths[kind] < 2 {
			t.Errorf("only %d deaths at a %s", deaths[kind], kind)
		}
	}
}

// TestCrashAtEveryWrite: wherever the process dies, a new one on the same data takes the request up and completes it, and every effect in the
// tenant's database is there exactly once.
func TestCrashAtEveryWrite(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]func(*hubtest.Rig) *hubtest.Rig{
		"by template": func(r *hubtest.Rig) *hubtest.Rig { return r }, "step by step": (*hubtest.Rig).Bare,
	} {
		t.Run(name, func(t *testing.T) {
			hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
				r = way(r)
				n := 0
				eachDeath(t, r, func(t *testing.T, dying *hubtest.Rig, arm func()) bool {
					n++
					fine(t, dying.Beat(t.Context()))
					q := dying.Join(fmt.Sprintf("c%d@example.com", n), "starter").Request
					r.Jobs.Take()
					arm()
					err := dying.Provision(t.Context(), q.ID)
					r.TenantDB.Before(nil)
					if !dying.Store.Died() {
						fine(t, err)
						wantReady(t, r, q.ID)
						return false
					}
					heir := r.Another(fmt.Sprintf("ins_%d_heir", n), "home")
					fine(t, heir.Beat(t.Context()))
					fine(t, heir.Reap(t.Context()))
					heir.Work()
					wantReady(t, heir, q.ID)
					return true
				})
			})
		})
	}
}

// TestCrashInsideSignUp: an answer was given exactly if there is a request, with its job; without an answer a second try is let in or told.
func TestCrashInsideSignUp(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		for _, after := range []bool{false, true} {
			dying := r.Another("ins_x", "home")
			in := good()
			in.Email = fmt.Sprintf("%t@example.com", after)
			dying.Store.DieAt(1, after)
			_, err := dying.SignUp(t.Context(), in)
			wantCode(t, err, hub.CodeUnavailable)
			_, err = r.SignUp(t.Context(), in)
			if after {
				wantCode(t, err, hub.CodeCustomerExists)
			} else {
				fine(t, err)
			}
			jobs := 0
			for _, j := range r.Jobs.Take() {
				if j.Kind == "provision" {
					jobs++
				}
			}
			equal(t, "jobs", jobs, 1)
		}
		equal(t, "metric of what was heard of", r.Meter.Counts(), [3]int{1, 0, 0})
	})
}

// mends are the ways in which a request whose run ended in an outage is taken up again by a hub that was never restarted.
var mends = []func(*testing.T, *hubtest.Rig, string){
	// The job is tried again.
	func(t *testing.T, r *hubtest.Rig, id string) { fine(t, r.Provision(t.Context(), id)) },
	// The job is lost: the hub's own Reap notices.
	func(t *testing.T, r *hubtest.Rig, _ string) { fine(t, r.Reap(t.Context())) },
	// The job is tried again by another hub, which leaves alone what a living hub holds; then that job is over.
	func(t *testing.T, r *hubtest.Rig, id string) {
		other := r.Another("ins_other", "other home")
		fine(t, other.Beat(t.Context()))
		fine(t, other.Provision(t.Context(), id))
		fine(t, r.Reap(t.Context()))
	},
}

// TestOutageInTheMiddle: the hub's database goes away at any write and comes back; the request is finished without a restart.
func TestOutageInTheMiddle(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		fine(t, r.Beat(t.Context()))
		n := 0
		eachWrite(t, func(t *testing.T, k int, after bool) bool {
			n++ // the ways take turns, another one at each write before the commit than after it
			q := r.Join(fmt.Sprintf("c%d@example.com", n), "starter").Request
			r.Jobs.Take()
			r.Store.DieAt(k, after)
			err := r.Provision(t.Context(), q.ID)
			if !r.Store.Died() {
				fine(t, err)
				r.Store.Revive() // it was to die at a write that never came
				return false
			}
			wantCode(t, err, hub.CodeUnavailable)
			r.Store.Revive()
			if r.Row(q.ID).State == hub.Pending { // nothing was taken: only the job that is tried again can know of it
				fine(t, r.Provision(t.Context(), q.ID))
			} else {
				mends[n%len(mends)](t, r, q.ID)
			}
			r.Work()
			wantReady(t, r, q.ID)
			return true
		})
	})
}

// TestStopInTheMiddle: a hub that is told to stop gives the request back at once; another one needs no proof of its death.
func TestStopInTheMiddle(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		other := r.Another("ins_other", "other home")
		fine(t, r.Beat(t.Context()))
		for i, step := range []string{"core/0001", "identity", "probe"} {
			q := r.Join(fmt.Sprintf("c%d@example.com", i), []string{"starter", "pro", "pro"}[i]).Request
			r.Jobs.Take()
			ctx, stop := context.WithCancel(t.Context())
			r.TenantDB.Before(func(ctx context.Context, at string) error {
				if at == step {
					stop()
					return ctx.Err()
				}
				return nil
			})
			if err := r.Provision(ctx, q.ID); !errors.Is(err, context.Canceled) {
				t.Fatalf("stopped at %s: %v", step, err)
			}
			r.TenantDB.Before(nil)
			equal(t, "worker", r.Row(q.ID).Worker, "")
			equal(t, "jobs", len(r.Jobs.Take()), 1)
			fine(t, other.Provision(t.Context(), q.ID))
			wantReady(t, r, q.ID)
		}
	})
}

// TestZombieWritesNothing: a run that was thought dead, and is only slow, finds its request in other hands and leaves everything as it is.
func TestZombieWritesNothing(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		r = r.Bare()
		for i, step := range []string{"core/0001", "identity", "inventory/seed", "probe"} {
			slow := r.Another(fmt.Sprintf("ins_slow%d", i), "slow home")
			fine(t, slow.Beat(t.Context()))
			q := r.Join(fmt.Sprintf("c%d@example.com", i), "starter").Request
			r.Jobs.Take()
			asleep, wake := make(chan struct{}), make(chan struct{})
			first := true
			r.TenantDB.Before(func(_ context.Context, at string) error {
				if at == step && first {
					first = false
					close(asleep)
					<-wake
				}
				return nil
			})
			ended := make(chan error, 1)
			go func() { ended <- slow.Provision(t.Context(), q.ID) }()
			select {
			case <-asleep:
			case err := <-ended:
				t.Fatalf("it ended before %s: %v", step, err)
			}
			r.TenantDB.Before(nil)
			heir := r.Another(fmt.Sprintf("ins_heir%d", i), "slow home") // the same data directory: the slow one cannot be alive
			fine(t, heir.Beat(t.Context()))
			fine(t, heir.Reap(t.Context()))
			heir.Work()
			row, steps, log := wantReady(t, heir, q.ID), stepsOf(r, q.ID), r.Log(q.ID)
			close(wake)
			fine(t, <-ended)
			equal(t, "the row", r.Row(q.ID), row)
			equal(t, "the steps", stepsOf(r, q.ID), steps)
			equal(t, "the audit log", r.Log(q.ID), log)
			equal(t, "jobs", len(r.Jobs.Take()), 0)
			wantReady(t, heir, q.ID)
			fine(t, heir.Leave(t.Context()))
		}
	})
}

// TestLeases: who is alive holds what it has; who has left or was silent too long does not.
func TestLeases(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		a, b := r.Another("ins_a", "home a"), r.Another("ins_b", "home b")
		fine(t, a.Beat(t.Context()))
		fine(t, b.Beat(t.Context()))
		alive, err := a.Alive(t.Context())
		fine(t, err)
		equal(t, "alive", len(alive), 2)
		q := place(r, hub.CredentialsReceived, true, "opr_x")
		held := *q
		held.Worker, held.Fence = "ins_a", 7
		r.Put(func(ctx context.Context, tx hub.Tx) error { return tx.UpdateRequest(ctx, &held) })
		fine(t, b.Provision(t.Context(), q.ID))
		fine(t, b.Reap(t.Context()))
		equal(t, "held by a living hub", r.Row(q.ID), &held)
		fine(t, a.Leave(t.Context()))
		fine(t, b.Reap(t.Context()))
		after := r.Row(q.ID)
		equal(t, "after it left", []any{after.Worker, after.Fence}, []any{"", int64(8)})
		equal(t, "jobs", r.Jobs.Take(), []hubtest.Job{{Kind: "provision", ID: q.ID, Key: q.Key()}})
		equal(t, "on record", r.Log(q.ID), []string{"request.takeover"})

		fine(t, b.Reap(t.Context())) // nothing to do
		equal(t, "jobs without need", len(r.Jobs.Take()), 0)
	})
}
