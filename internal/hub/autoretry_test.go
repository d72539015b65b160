package hub_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/hub/hubtest"
)

// ailing makes every probe fail so, until it is cured.
func ailing(r *hubtest.Rig, trouble error) (cure func()) {
	r.TenantDB.Before(func(_ context.Context, step string) error {
		if step == "probe" {
			return trouble
		}
		return nil
	})
	return func() { r.TenantDB.Before(nil) }
}

func trouble(class hub.Class, code string) error {
	return &hub.StepError{Class: class, Code: code, Err: errors.New("not now")}
}

// retries takes the retry jobs that wait; the others are worked off first.
func retries(r *hubtest.Rig) []hubtest.Job {
	r.T.Helper()
	r.Work()
	return r.Jobs.Take()
}

// TestTransientTroubleIsRetriedByTheHub: with what is written, who is told and when.
func TestTransientTroubleIsRetriedByTheHub(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		for _, x := range []struct {
			plan  string
			fault error
		}{
			{"starter", trouble(hub.ClassNetwork, "57P03")},
			{"enterprise", trouble(hub.ClassQuota, "53300")},
			{"pro", fmt.Errorf("connecting: %w", context.DeadlineExceeded)}, // by the driver, whose time for a connection is shorter than the run's
		} {
			cure := ailing(r, x.fault)
			s := r.Join(x.plan+"@example.com", x.plan)
			var op *hub.Operation
			if x.plan == "enterprise" {
				admin := r.Operator("admin", hub.Admin)
				_, err := r.Claim(t.Context(), admin, s.Request.ID)
				fine(t, err)
				_, op, err = r.GiveCredentials(t.Context(), admin, s.Request.ID, hub.Offer{Provider: "sqlite"})
				fine(t, err)
			}
			later := retries(r)
			q := r.Row(s.Request.ID)
			equal(t, "state", q.State, hub.Failed)
			if q.Failure.RetryAt == nil {
				t.Fatalf("no retry of %+v", q.Failure)
			}
			if in := q.Failure.RetryAt.Sub(*q.FinishedAt); in < 3*time.Second || in > 7*time.Second {
				t.Errorf("the first retry comes after %s", in)
			}
			equal(t, "jobs", later, []hubtest.Job{{Kind: "retry", ID: q.ID, Again: hub.Again{RequestID: q.ID, Fence: q.Fence, At: *q.Failure.RetryAt}}})
			st, err := r.StatusOf(t.Context(), s.StatusToken)
			fine(t, err)
			if !strings.Contains(st.Reason, "try again") || !strings.Contains(q.Failure.Action, "by itself at "+q.Failure.RetryAt.Format("15:04:05")) {
				t.Errorf("the customer reads %q, the operator %q", st.Reason, q.Failure.Action)
			}
			equal(t, "mails of failure", sent(r, hub.MailFailed), 0)
			if op != nil {
				v, err := r.OperationView(t.Context(), op.ID)
				fine(t, err)
				equal(t, "operation while the hub tries", v.Status, "running")
			}

			fine(t, r.Perform(t.Context(), later[0])) // still ailing: the second pause is longer
			again := r.Row(q.ID)
			equal(t, "after the retry", []any{again.State, again.Failure.Retries, again.Failure.RetryAt == nil}, []any{hub.CredentialsReceived, 1, true})
			if e := lastEntry(r, q.ID); e.Action != "request.retry" || e.ActorKind != hub.ByHub || e.Detail["retries"] != float64(1) {
				t.Errorf("on record: %+v", e)
			}
			later = retries(r)
			again = r.Row(q.ID)
			if in := again.Failure.RetryAt.Sub(*again.FinishedAt); in < 7*time.Second || in > 13*time.Second {
				t.Errorf("the second retry comes after %s", in)
			}
			cure()
			fine(t, r.Perform(t.Context(), later[0]))
			r.Work()
			wantReady(t, r, q.ID)
			fine(t, r.Perform(t.Context(), later[0])) // a job that comes twice
			wantReady(t, r, q.ID)
			if op != nil {
				v, err := r.OperationView(t.Context(), op.ID)
				fine(t, err)
				equal(t, "operation in the end", v.Status, "succeeded")
			}
		}
		equal(t, "mails of failure", sent(r, hub.MailFailed), 0)
	})
}

func sent(r *hubtest.Rig, kind hub.MailKind) (n int) {
	for _, l := range r.Mailer.Sent {
		if l.Kind == kind {
			n++
		}
	}
	return n
}

// TestTheHubGivesUpInTheEnd: after about an hour, with one mail; a person's retry begins the count anew.
func TestTheHubGivesUpInTheEnd(t *testing.T) {
	t.Parallel()
	r := hubtest.New(t, hubtest.SQLite(t))
	ailing(r, trouble(hub.ClassQuota, "53300")) // not tried again within a run, so this is quick
	admin := r.Operator("admin", hub.Admin)
	s := r.Join("a@example.com", "starter")
	for round := 1; round <= 2; round++ {
		var pauses time.Duration
		n := 0
		for later := retries(r); len(later) > 0; later = retries(r) {
			q := r.Row(s.Request.ID)
			pauses += q.Failure.RetryAt.Sub(*q.FinishedAt)
			if n++; n > 50 {
				t.Fatal("no end")
			}
			equal(t, "mails of failure", sent(r, hub.MailFailed), round-1)
			fine(t, r.Perform(t.Context(), later[0]))
		}
		q := r.Row(s.Request.ID)
		equal(t, "given up", []any{q.State, q.Failure.RetryAt == nil, q.Failure.Retries, n}, []any{hub.Failed, true, 17, 17})
		if pauses < 45*time.Minute || pauses > 75*time.Minute {
			t.Errorf("tried for %s", pauses)
		}
		if strings.Contains(q.Failure.Action, "by itself") || !strings.Contains(q.Failure.Action, "max_connections") || strings.Contains(q.Failure.Customer, "try again") {
			t.Errorf("given up, but it says %q and %q", q.Failure.Action, q.Failure.Customer)
		}
		equal(t, "mails of failure", sent(r, hub.MailFailed), round)
		_, err := r.Retry(t.Context(), admin, q.ID)
		fine(t, err)
		equal(t, "a person's retry", r.Row(q.ID).Failure, (*hub.Failure)(nil))
	}
}

// TestWhatDoesNotPassWaitsForPeople: no retry, and the mail at once.
func TestWhatDoesNotPassWaitsForPeople(t *testing.T) {
	t.Parallel()
	r := hubtest.New(t, hubtest.SQLite(t))
	for i, fault := range []error{
		trouble(hub.ClassAuth, "28P01"),
		trouble(hub.ClassAuth, "42501"),
		trouble(hub.ClassData, "IDENTITY_MISMATCH"),
		trouble(hub.ClassCatalog, "42P07"),
		trouble(hub.ClassQuota, "53100"),
		trouble(hub.ClassQuota, "SQLITE_FULL"),
		trouble(hub.ClassNetwork, "57P04"),
		trouble(hub.ClassNetwork, "58P01"),
		errors.New("a bug"),
	} {
		ailing(r, fault)
		s := r.Join(fmt.Sprintf("c%d@example.com", i), "starter")
		equal(t, "retry jobs", len(retries(r)), 0)
		q := r.Row(s.Request.ID)
		if q.State != hub.Failed || q.Failure.RetryAt != nil || q.Failure.Action == "" || q.Failure.Customer == "" {
			t.Errorf("%v: %s, %+v", fault, q.State, q.Failure)
		}
		equal(t, "mails of failure", sent(r, hub.MailFailed), i+1)
	}
	r.TenantDB.Before(nil)
	brokenAt(r, "inventory", 0)
	fine(t, r.Catalogs.Reload(t.Context()))
	s := r.Join("catalog@example.com", "starter")
	equal(t, "retry jobs", len(retries(r)), 0)
	f := r.Row(s.Request.ID).Failure
	equal(t, "with a catalog that is wrong", []any{f.Class, f.RetryAt == nil, f.Line, strings.Contains(f.Action, "catalog lint")}, []any{hub.ClassCatalog, true, 3, true})
}

// TestARetryLeavesAloneWhatIsInOtherHands: whatever people did with the failed request before the hub's retry came.
func TestARetryLeavesAloneWhatIsInOtherHands(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		admin := r.Operator("admin", hub.Admin)
		for name, act := range map[string]func(q *hub.Request) error{
			"claimed":   func(q *hub.Request) error { _, err := r.Claim(t.Context(), admin, q.ID); return err },
			"assigned":  func(q *hub.Request) error { _, err := r.Assign(t.Context(), admin, q.ID, admin.ID); return err },
			"cancelled": func(q *hub.Request) error { _, err := r.Cancel(t.Context(), admin, q.ID); return err },
			"retried":   func(q *hub.Request) error { _, err := r.Retry(t.Context(), admin, q.ID); return err },
			"failed anew": func(q *hub.Request) error {
				if _, err := r.Retry(t.Context(), admin, q.ID); err != nil {
					return err
				}
				for _, j := range r.Jobs.Take() {
					if err := r.Perform(t.Context(), j); err != nil {
						return err
					}
				}
				return nil
			},
		} {
			t.Run(name, func(t *testing.T) {
				ailing(r, trouble(hub.ClassQuota, "53300"))
				s := r.Join(strings.ReplaceAll(name, " ", "")+"@example.com", "starter")
				later := retries(r)
				equal(t, "retry jobs", len(later), 1)
				fine(t, act(r.Row(s.Request.ID)))
				r.Jobs.Take()
				before, log := r.Row(s.Request.ID), r.Log(s.Request.ID)
				fine(t, r.Perform(t.Context(), later[0]))
				equal(t, "the row", r.Row(s.Request.ID), before)
				equal(t, "the audit log", r.Log(s.Request.ID), log)
				equal(t, "jobs", len(r.Jobs.Take()), 0)
				if name == "claimed" || name == "assigned" || name == "cancelled" {
					open := hubtest.Get(r, func(ctx context.Context, tx hub.Tx) (bool, error) {
						_, open, err := tx.OpenOperation(ctx, s.Request.ID)
						return open, err
					})
					equal(t, "an operation that nobody is at", open, false)
				}
			})
		}
		fine(t, r.RetryByItself(t.Context(), hub.Again{RequestID: "req_none", Fence: 1}))
	})
}

// TestCrashAroundARetry: wherever the process dies between the failure and the success, its heir completes the request.
func TestCrashAroundARetry(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		n := 0
		eachWrite(t, func(t *testing.T, k int, after bool) bool {
			n++
			fails := true
			r.TenantDB.Before(func(_ context.Context, step string) error {
				if step == "probe" && fails {
					fails = false
					return trouble(hub.ClassQuota, "53300")
				}
				return nil
			})
			dying := r.Another(fmt.Sprintf("ins_%d", n), "home")
			fine(t, dying.Beat(t.Context()))
			q := dying.Join(fmt.Sprintf("c%d@example.com", n), "starter").Request
			r.Jobs.Take()
			dying.Store.DieAt(k, after)
			err := dying.Provision(t.Context(), q.ID)
			for err == nil {
				jobs := r.Jobs.Take()
				if len(jobs) == 0 {
					break
				}
				for i, j := range jobs {
					if err = dying.Perform(t.Context(), j); err != nil {
						r.Jobs.Put(jobs[i:]...) // River keeps the jobs of a process that dies
						break
					}
				}
			}
			died := dying.Store.Died()
			if !died {
				fine(t, err)
			}
			heir := r.Another(fmt.Sprintf("ins_%d_heir", n), "home")
			fine(t, heir.Beat(t.Context()))
			fine(t, heir.Reap(t.Context()))
			for later := retries(heir); len(later) > 0; later = retries(heir) {
				for _, j := range later {
					fine(t, heir.Perform(t.Context(), j))
				}
			}
			wantReady(t, heir, q.ID)
			return died
		})
	})
}

// TestAFailureOnPostgresNamesItsPlace: code, file and line of the statement, no retry by the hub; mended, a person's retry goes on there.
func TestAFailureOnPostgresNamesItsPlace(t *testing.T) {
	t.Parallel()
	r := hubtest.New(t, hubtest.SQLite(t)).Pooled(hubtest.NewCluster(t), 0)
	mend := brokenAt(r, "inventory", 1)
	fine(t, r.Catalogs.Reload(t.Context()))
	s := r.Join("a@example.com", "starter")
	equal(t, "retry jobs", len(retries(r)), 0)
	q := r.Row(s.Request.ID)
	f := q.Failure
	equal(t, "failure", []any{q.State, f.Step, f.Class, f.Code, f.File, f.Line, f.RetryAt == nil},
		[]any{hub.Failed, "inventory/0002", hub.ClassCatalog, "42601", "features/inventory/0002.sql", 3, true})
	if !strings.Contains(f.Cause, "features/inventory/0002.sql:3") || strings.Contains(f.Customer, "inventory") {
		t.Errorf("%+v", f)
	}
	mend()
	_, err := r.Retry(t.Context(), r.Operator("op", hub.Provisioner), q.ID)
	fine(t, err)
	r.Work()
	wantReadyOnCluster(t, r, q.ID)
	for step, n := range r.Effects(r.Row(q.ID).TenantID) {
		equal(t, "effects of "+step, n, 1)
	}
}
