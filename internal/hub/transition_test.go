package hub_test

import (
	"context"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/hub/hubtest"
)

const (
	invalid = hub.CodeInvalidTransition
	claimed = hub.CodeAlreadyClaimed
)

// outcome is a state, or the code of a refusal.
type outcome any

// moves says, in the contract's words, what each call does in each state: the table is the test's own, so that a slip in the domain's shows.
var moves = []struct {
	name   string
	call   func(context.Context, *hubtest.Rig, hub.Actor, *hub.Request) error
	audit  string
	tenant bool
	// pending, in_progress, credentials_received, migrating, completed, failed, cancelled
	want [7]outcome
}{
	{
		"claim", func(ctx context.Context, r *hubtest.Rig, a hub.Actor, q *hub.Request) error {
			_, err := r.Claim(ctx, a, q.ID)
			return err
		},
		"request.claim", true,
		[7]outcome{hub.InProgress, claimed, claimed, claimed, invalid, hub.InProgress, invalid},
	},
	{
		"release", func(ctx context.Context, r *hubtest.Rig, a hub.Actor, q *hub.Request) error {
			_, err := r.Release(ctx, a, q.ID)
			return err
		},
		"request.release", true,
		[7]outcome{invalid, hub.Pending, invalid, invalid, invalid, invalid, invalid},
	},
	{
		"credentials", func(ctx context.Context, r *hubtest.Rig, a hub.Actor, q *hub.Request) error {
			_, _, err := r.GiveCredentials(ctx, a, q.ID, hub.Offer{Provider: "sqlite"})
			return err
		},
		"request.credentials", false,
		[7]outcome{invalid, hub.CredentialsReceived, invalid, invalid, invalid, invalid, invalid},
	},
	{
		"credentials once more", func(ctx context.Context, r *hubtest.Rig, a hub.Actor, q *hub.Request) error {
			_, _, err := r.GiveCredentials(ctx, a, q.ID, hub.Offer{Provider: "sqlite"})
			return err
		},
		"request.credentials", true,
		[7]outcome{invalid, hub.CredentialsReceived, invalid, invalid, invalid, invalid, invalid},
	},
	{
		"retry with credentials", func(ctx context.Context, r *hubtest.Rig, a hub.Actor, q *hub.Request) error {
			_, err := r.Retry(ctx, a, q.ID)
			return err
		},
		"request.retry", true,
		[7]outcome{invalid, invalid, invalid, invalid, invalid, hub.CredentialsReceived, invalid},
	},
	{
		"retry without credentials", func(ctx context.Context, r *hubtest.Rig, a hub.Actor, q *hub.Request) error {
			_, err := r.Retry(ctx, a, q.ID)
			return err
		},
		"request.retry", false,
		[7]outcome{invalid, invalid, invalid, invalid, invalid, hub.Pending, invalid},
	},
	{
		"cancel", func(ctx context.Context, r *hubtest.Rig, a hub.Actor, q *hub.Request) error {
			_, err := r.Cancel(ctx, a, q.ID)
			return err
		},
		"request.cancel", true,
		[7]outcome{hub.Cancelled, hub.Cancelled, hub.Cancelled, invalid, invalid, hub.Cancelled, invalid},
	},
	{
		"cancel by customer", func(ctx context.Context, r *hubtest.Rig, _ hub.Actor, q *hub.Request) error {
			token, hash := r.Deps.Tokens.New("kst_")
			r.Put(func(ctx context.Context, tx hub.Tx) error { return tx.PutStatusToken(ctx, hash, q.ID) })
			_, err := r.CancelByCustomer(ctx, token)
			return err
		},
		"request.cancel", false,
		[7]outcome{hub.Cancelled, hub.Cancelled, hub.Cancelled, invalid, invalid, hub.Cancelled, invalid},
	},
	{
		"assign", func(ctx context.Context, r *hubtest.Rig, a hub.Actor, q *hub.Request) error {
			_, err := r.Assign(ctx, a, q.ID, a.ID)
			return err
		},
		"request.assign", false,
		[7]outcome{hub.InProgress, hub.InProgress, invalid, invalid, invalid, hub.InProgress, invalid},
	},
	{
		"priority", func(ctx context.Context, r *hubtest.Rig, a hub.Actor, q *hub.Request) error {
			_, err := r.SetPriority(ctx, a, q.ID, 2)
			return err
		},
		"request.priority", false,
		[7]outcome{hub.Pending, invalid, invalid, invalid, invalid, invalid, invalid},
	},
}

// TestEveryMoveInEveryState: a move is allowed and does what the contract says, or it is refused, nothing changes and the attempt is on record.
func TestEveryMoveInEveryState(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		admin := r.Operator("admin", hub.Admin)
		for _, m := range moves {
			for i, state := range hub.States {
				t.Run(m.name+" of "+string(state), func(t *testing.T) {
					r.T = t
					before := place(r, state, m.tenant, admin.ID)
					r.Jobs.Take()
					r.Events.Take()
					err := m.call(t.Context(), r, admin, before)
					if target, ok := m.want[i].(hub.State); ok {
						fine(t, err)
						allowed(t, r, before, target, m.audit)
					} else {
						refused(t, r, before, err, m.want[i].(hub.Code), m.audit)
					}
				})
			}
		}
	})
}

func allowed(t *testing.T, r *hubtest.Rig, before *hub.Request, target hub.State, action string) {
	t.Helper()
	after := r.Row(before.ID)
	equal(t, "state", after.State, target)
	equal(t, "version", after.Version, before.Version+1)
	equal(t, "enqueue time", after.EnqueuedAt, before.EnqueuedAt)
	if action != "request.priority" {
		equal(t, "priority", after.Priority, before.Priority)
	}
	equal(t, "audit log", r.Log(before.ID), []string{action})
	topics := r.Events.Take()
	has(t, "topics", topics, before.ID)
	has(t, "topics", topics, hub.TopicLine)
	if target == hub.Pending {
		equal(t, "assignee of a waiting one", after.AssignedTo, "")
	}
	if target != hub.Failed && after.Failure != nil && target != hub.Cancelled {
		t.Errorf("still says why it failed: %+v", after.Failure)
	}
	if target == hub.Cancelled {
		if after.FinishedAt == nil || after.Worker != "" {
			t.Errorf("cancelled, but %+v", after)
		}
		if after.TenantID != "" {
			equal(t, "tenant", tenantOf(r, after.TenantID).State, hub.TenantOffboarding)
			equal(t, "jobs", r.Jobs.Take(), []hubtest.Job{{Kind: "cleanup", ID: after.TenantID}})
		}
	}
	if target == hub.CredentialsReceived {
		equal(t, "jobs", r.Jobs.Take(), []hubtest.Job{{Kind: "provision", ID: before.ID, Key: before.Key()}})
	}
}

func refused(t *testing.T, r *hubtest.Rig, before *hub.Request, err error, code hub.Code, action string) {
	t.Helper()
	wantCode(t, err, code)
	equal(t, "the row", r.Row(before.ID), before)
	equal(t, "audit log", r.Log(before.ID), []string{action + ".refused"})
	equal(t, "code on record", lastEntry(r, before.ID).Detail["code"], any(string(code)))
	equal(t, "jobs", len(r.Jobs.Take()), 0)
	equal(t, "topics", len(r.Events.Take()), 0)
	if before.TenantID != "" {
		equal(t, "version of the tenant", tenantOf(r, before.TenantID).Version, int64(1))
	}
	if e := err.(*hub.Error); code == claimed { //nolint:errorlint // refusals come bare
		equal(t, "assigned_to", e.Details["assigned_to"], any(before.AssignedTo))
		equal(t, "its name", e.Details["assigned_to_name"], any("admin"))
	} else if e.Fix == "" || e.Details["status"] != string(before.State) {
		t.Errorf("a refusal that says neither the next step nor the state: %+v", e)
	}
}

// TestUnknownRequest: every call with an id that is none is NOT_FOUND.
func TestUnknownRequest(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		admin := r.Operator("admin", hub.Admin)
		for _, m := range moves {
			if m.name == "cancel by customer" {
				continue // goes by token
			}
			for _, id := range []string{"req_none", "", "\x00"} {
				if err := m.call(t.Context(), r, admin, &hub.Request{ID: id}); !hub.IsCode(err, hub.CodeNotFound) {
					t.Errorf("%s of %q: %v", m.name, id, err)
				}
			}
		}
		_, err := r.CancelByCustomer(t.Context(), "kst_none")
		wantCode(t, err, hub.CodeUnauthenticated)
	})
}
