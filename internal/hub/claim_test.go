package hub_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/hub/hubtest"
)

// atOnce runs n calls together and gives their errors.
func atOnce(n int, call func(i int) error) []error {
	errs := make([]error, n)
	start, done := make(chan struct{}), make(chan struct{})
	for i := range n {
		go func() {
			<-start
			errs[i] = call(i)
			done <- struct{}{}
		}()
	}
	close(start)
	for range n {
		<-done
	}
	return errs
}

// TestOneWinnerPerClaim: of many operators who want the same request one gets it; each other one learns who did.
func TestOneWinnerPerClaim(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		const operators = 6
		var who [operators]hub.Actor
		for i := range who {
			who[i] = r.Operator(fmt.Sprintf("op%d", i), hub.Provisioner)
		}
		for range 5 {
			id := r.Join(hub.NewID("a", testNow())+"@example.com", "enterprise").Request.ID
			errs := atOnce(operators, func(i int) error { _, err := r.Claim(t.Context(), who[i], id); return err })
			row := r.Row(id)
			won := 0
			for i, err := range errs {
				if err == nil {
					won++
					equal(t, "assignee", row.AssignedTo, who[i].ID)
					continue
				}
				wantCode(t, err, hub.CodeAlreadyClaimed)
				var e *hub.Error
				errors.As(err, &e)
				equal(t, "assigned_to", e.Details["assigned_to"], any(row.AssignedTo))
				equal(t, "its name", e.Details["assigned_to_name"], any(row.AssigneeName))
			}
			equal(t, "winners", won, 1)
			log := map[string]int{}
			for _, a := range r.Log(id) {
				log[a]++
			}
			equal(t, "audit log", log, map[string]int{"request.create": 1, "request.claim": 1, "request.claim.refused": operators - 1})
		}
	})
}

// TestClaimNextEmptiesTheLine: each caller gets a request of their own, in the order of the line, then QUEUE_EMPTY.
func TestClaimNextEmptiesTheLine(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		const n = 12
		for i := range n {
			r.Join(fmt.Sprintf("c%d@example.com", i), []string{"starter", "enterprise"}[i%2])
		}
		a := r.Operator("op", hub.Provisioner)
		first, err := r.ClaimNext(t.Context(), a)
		fine(t, err)
		equal(t, "first", first.Plan, "enterprise")
		ids := make([]string, n)
		empty := 0
		for _, err := range atOnce(n, func(i int) error {
			q, err := r.ClaimNext(t.Context(), a)
			if err == nil {
				ids[i] = q.ID
			}
			return err
		}) {
			if err != nil {
				wantCode(t, err, hub.CodeQueueEmpty)
				empty++
			}
		}
		equal(t, "told that nobody waits", empty, 1)
		seen := map[string]bool{"": true, first.ID: true}
		for _, id := range ids {
			if id != "" && seen[id] {
				t.Errorf("%s was claimed twice", id)
			}
			seen[id] = true
		}
		equal(t, "claimed", len(seen)-1, n)
	})
}

// TestReleaseAndRetryKeepThePlace: whoever comes back to the line stands where they stood.
func TestReleaseAndRetryKeepThePlace(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		a := r.Operator("op", hub.Provisioner)
		first, second := r.Join("a@example.com", "starter"), r.Join("b@example.com", "starter")
		r.Jobs.Take()
		equal(t, "ahead of the second", second.Ahead, 1)
		position := func(id string) int {
			s, err := r.StatusByID(t.Context(), id)
			fine(t, err)
			return s.Position
		}
		_, err := r.Claim(t.Context(), a, first.Request.ID)
		fine(t, err)
		equal(t, "the second moves up", position(second.Request.ID), 1)
		equal(t, "who is not waiting has no position", position(first.Request.ID), 0)
		q, err := r.Release(t.Context(), a, first.Request.ID)
		fine(t, err)
		equal(t, "enqueue time", q.EnqueuedAt, first.Request.EnqueuedAt)
		equal(t, "back at its place", []int{position(first.Request.ID), position(second.Request.ID)}, []int{1, 2})
		// An automatic one is the hub's again, at its place.
		equal(t, "jobs", r.Jobs.Take(), []hubtest.Job{{Kind: "provision", ID: q.ID, Key: first.Request.Key()}})

		failed := place(r, hub.Failed, false, a.ID)
		back, err := r.Retry(t.Context(), a, failed.ID)
		fine(t, err)
		equal(t, "enqueue time after retry", back.EnqueuedAt, failed.EnqueuedAt)
		equal(t, "an operator's waits for an operator", len(r.Jobs.Take()), 0)
	})
}

// TestWhoMay: support looks, a provisioner works on what is theirs or nobody's, an admin on everything.
func TestWhoMay(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		ctx := t.Context()
		holder, other, admin, support := r.Operator("holder", hub.Provisioner), r.Operator("other", hub.Provisioner), r.Operator("admin", hub.Admin), r.Operator("support", hub.Support)
		token := hub.Actor{Kind: hub.ByToken, ID: "tok_1", Name: "ci", Rank: hub.Provisioner}
		release := func(a hub.Actor, id string) error { _, err := r.Release(ctx, a, id); return err }
		credentials := func(a hub.Actor, id string) error {
			_, _, err := r.GiveCredentials(ctx, a, id, hub.Offer{Provider: "sqlite"})
			return err
		}
		assign := func(a hub.Actor, id string) error { _, err := r.Assign(ctx, a, id, holder.ID); return err }
		for name, call := range map[string]func(hub.Actor, string) error{"release": release, "credentials": credentials, "assign": assign} {
			for _, c := range []struct {
				who hub.Actor
				may bool
			}{{holder, true}, {admin, true}, {other, false}, {support, false}, {token, false}} {
				q := place(r, hub.InProgress, false, holder.ID)
				err := call(c.who, q.ID)
				if c.may {
					fine(t, err)
					continue
				}
				wantCode(t, err, hub.CodeForbidden)
				equal(t, name+" by "+c.who.Name+" changed", r.Row(q.ID), q)
				has(t, "audit log", r.Log(q.ID), "request."+name+".refused")
			}
		}
		q := place(r, hub.InProgress, false, hub.AutoAssignee)
		wantCode(t, release(holder, q.ID), hub.CodeForbidden)
		fine(t, release(admin, q.ID))

		for _, m := range moves { // support may nothing at all
			for i, state := range hub.States {
				if _, ok := m.want[i].(hub.State); !ok || m.name == "cancel by customer" {
					continue
				}
				q := place(r, state, m.tenant, holder.ID)
				wantCode(t, m.call(ctx, r, support, q), hub.CodeForbidden)
				equal(t, m.name+" by support changed", r.Row(q.ID), q)
			}
		}
		_, err := r.ClaimNext(ctx, support)
		wantCode(t, err, hub.CodeForbidden)
		_, err = r.Reveal(ctx, support, "ten_x")
		wantCode(t, err, hub.CodeForbidden)
	})
}

// TestAssign gives work only to those who can do it.
func TestAssign(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		admin, support := r.Operator("admin", hub.Admin), r.Operator("support", hub.Support)
		gone := &hub.Operator{ID: "opr_gone", Email: "gone@hub.example", Name: "Gone", Rank: hub.Admin, CreatedAt: testNow(), DisabledAt: ref(testNow())}
		r.Put(func(ctx context.Context, tx hub.Tx) error { return tx.InsertOperator(ctx, gone) })
		q := place(r, hub.Pending, false, "")
		for _, id := range []string{"opr_none", "", "\x00", support.ID, gone.ID, hub.AutoAssignee} {
			_, err := r.Assign(t.Context(), admin, q.ID, id)
			wantCode(t, err, hub.CodeInvalidField)
		}
		equal(t, "the row", r.Row(q.ID), q)
	})
}

func TestPriorityAndNotes(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		a := r.Operator("op", hub.Provisioner)
		q := r.Join("a@example.com", "starter").Request
		r.Join("b@example.com", "pro")
		r.Jobs.Take()
		for _, p := range []int{-1, 3, 1 << 40} {
			_, err := r.SetPriority(t.Context(), a, q.ID, p)
			wantCode(t, err, hub.CodeInvalidField)
		}
		up, err := r.SetPriority(t.Context(), a, q.ID, 2)
		fine(t, err)
		s, err := r.StatusByID(t.Context(), q.ID)
		fine(t, err)
		equal(t, "position", s.Position, 1)
		equal(t, "enqueue time", up.EnqueuedAt, q.EnqueuedAt)
		equal(t, "jobs", r.Jobs.Take(), []hubtest.Job{{Kind: "provision", ID: q.ID, Key: up.Key()}})
		equal(t, "on record", lastEntry(r, q.ID).Detail, map[string]any{"from": 0.0, "to": 2.0})

		noted, err := r.SetNotes(t.Context(), a, q.ID, "  <b>call</b>\nO'Neil 🚀 ")
		fine(t, err)
		equal(t, "notes", noted.Notes, "<b>call</b>\nO'Neil 🚀")
		_, err = r.SetNotes(t.Context(), a, q.ID, "a\x00b")
		wantCode(t, err, hub.CodeInvalidField)
		equal(t, "notes after a refusal", r.Row(q.ID).Notes, noted.Notes)
	})
}
