package hub_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/hub/hubtest"
)

// TestNoAuditNoChange: a change whose audit entry cannot be written does not happen, in any use case, and leaves no job and no message.
func TestNoAuditNoChange(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		admin := r.Operator("admin", hub.Admin)
		r.TenantDB.Before(nil)
		for _, m := range moves {
			for i, state := range hub.States {
				before := place(r, state, m.tenant, admin.ID)
				r.Jobs.Take()
				r.Events.Take()
				r.Store.FailAudit(true)
				err := m.call(t.Context(), r, admin, before)
				r.Store.FailAudit(false)
				if !errors.Is(err, hubtest.ErrNoAudit) {
					t.Errorf("%s of %s without an audit log: %v (wanted %v)", m.name, state, err, m.want[i])
				}
				unchanged(t, r, before)
			}
		}
		r.Store.FailAudit(true)
		_, err := r.SignUp(t.Context(), good())
		r.Store.FailAudit(false)
		if !errors.Is(err, hubtest.ErrNoAudit) {
			t.Errorf("sign-up without an audit log: %v", err)
		}
		equal(t, "requests counted", r.Meter.Counts()[0], 0)
		r.Join(good().Email, "pro") // the address is free
	})
}

func unchanged(t *testing.T, r *hubtest.Rig, before *hub.Request) {
	t.Helper()
	equal(t, "the row", r.Row(before.ID), before)
	equal(t, "audit log", len(r.Log(before.ID)), 0)
	equal(t, "jobs", len(r.Jobs.Take()), 0)
	equal(t, "topics", len(r.Events.Take()), 0)
	_, open := opOf(r, before.ID)
	equal(t, "an open operation", open, false)
}

func opOf(r *hubtest.Rig, target string) (o *hub.Operation, found bool) {
	o = hubtest.Get(r, func(ctx context.Context, tx hub.Tx) (o *hub.Operation, err error) {
		o, found, err = tx.OpenOperation(ctx, target)
		return o, err
	})
	return o, found
}

// TestNoAuditNoAccess: nobody gets secrets, a session or rights without a trace.
func TestNoAuditNoAccess(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		s := r.Join("a@example.com", "starter")
		r.Work()
		admin := r.Operator("admin", hub.Admin)
		_, err := r.CreateOperator(t.Context(), hub.CLIActor(), newOperator("olga@hub.example"))
		fine(t, err)
		tenant := r.Row(s.Request.ID).TenantID
		for name, call := range map[string]func(context.Context) error{
			"reveal": func(ctx context.Context) error {
				c, err := r.Reveal(ctx, admin, tenant)
				equal(t, "credentials given", c, hub.Credentials{})
				return err
			},
			"reveal to the customer": func(ctx context.Context) error {
				c, err := r.RevealToCustomer(ctx, s.StatusToken)
				equal(t, "credentials given", c, hub.Credentials{})
				return err
			},
			"login": func(ctx context.Context) error {
				_, token, err := r.Login(ctx, "olga@hub.example", password)
				equal(t, "token given", token, "")
				return err
			},
			"operator": func(ctx context.Context) error {
				_, err := r.CreateOperator(ctx, admin, newOperator("eve@hub.example"))
				return err
			},
			"token": func(ctx context.Context) error { _, _, err := r.CreateAPIToken(ctx, admin, "x", hub.Admin); return err },
		} {
			r.Store.FailAudit(true)
			err := call(t.Context())
			r.Store.FailAudit(false)
			if !errors.Is(err, hubtest.ErrNoAudit) {
				t.Errorf("%s without an audit log: %v", name, err)
			}
		}
		equal(t, "revealed", tenantOf(r, tenant).RevealedAt == nil, true)
		all, err := r.Operators(t.Context())
		fine(t, err)
		equal(t, "operators", len(all), 2)
	})
}

// TestEntryTellsWho: the entry names the actor, the call and what was done, in the order in which it happened.
func TestEntryTellsWho(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		a := r.Operator("O'Neil 🚀", hub.Provisioner)
		q := r.Join("a@example.com", "enterprise").Request
		ctx := context.WithValue(t.Context(), hub.CallKey{}, "call-42")
		var want []string
		for range 5 { // fast enough to share milliseconds
			_, err := r.Claim(ctx, a, q.ID)
			fine(t, err)
			_, err = r.Release(ctx, a, q.ID)
			fine(t, err)
			want = append(want, "request.claim", "request.release")
		}
		equal(t, "audit log", r.Log(q.ID), slices.Concat([]string{"request.create"}, want))
		page, err := r.Audit(t.Context(), q.ID, "", 1)
		fine(t, err)
		e := page[0]
		equal(t, "entry", []any{e.ActorKind, e.ActorID, e.ActorName, e.Action, e.Target, e.RequestID, e.Detail["status"]},
			[]any{hub.ByPerson, a.ID, a.Name, "request.release", q.ID, "call-42", "pending"})
	})
}
