package hub_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/hub/hubtest"
)

// wantReady checks what "completed" promises: every step done in the planned order, each effect there exactly once, the tenant active.
func wantReady(t testing.TB, r *hubtest.Rig, id string) *hub.Request {
	t.Helper()
	q := r.Row(id)
	equal(t, "state", q.State, hub.Completed)
	plan, err := hub.PlanSteps(r.Catalogs.Current(), q.Features, hub.SQLite)
	fine(t, err)
	once := map[string]int{}
	var names []string
	for _, s := range plan {
		names = append(names, s.Name)
		if s.InLedger() {
			once[s.Name] = 1
		}
	}
	var did []string
	for i, s := range stepsOf(r, id) {
		did = append(did, s.Name)
		if s.Status != hub.StepDone || s.StartedAt == nil || s.FinishedAt == nil || s.FinishedAt.Before(*s.StartedAt) || s.Failure != nil || s.Seq != i+1 {
			t.Errorf("step %s: %+v", s.Name, s)
		}
	}
	equal(t, "steps", did, names)
	equal(t, "ledger", r.Ledger(q.TenantID), once)
	equal(t, "effects", r.Effects(q.TenantID), once)
	n := tenantOf(r, q.TenantID)
	if n.State != hub.TenantActive || n.ReadyAt == nil || n.SizeBytes == 0 || n.CatalogVersion != r.Catalogs.Current().Version {
		t.Errorf("tenant %+v", n)
	}
	if q.Worker != "" || q.Failure != nil || q.FinishedAt == nil || q.StartedAt == nil || q.CredentialsAt == nil {
		t.Errorf("completed, but %+v", q)
	}
	completes := 0
	for _, a := range r.Log(id) {
		if a == "request.complete" {
			completes++
		}
	}
	equal(t, "entries of its completion", completes, 1)
	return q
}

// TestPipeline: both ways of making the database end the same; nothing says ready before the probe passed.
func TestPipeline(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]func(*hubtest.Rig) *hubtest.Rig{
		"by template": func(r *hubtest.Rig) *hubtest.Rig { return r }, "step by step": (*hubtest.Rig).Bare,
	} {
		t.Run(name, func(t *testing.T) {
			hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
				r = way(r)
				s := r.Join("a@example.com", "pro")
				probes := 0
				r.TenantDB.Before(func(_ context.Context, step string) error {
					if step != "probe" {
						return nil
					}
					probes++
					q := r.Row(s.Request.ID)
					equal(t, "state while it is probed", q.State, hub.Migrating)
					equal(t, "tenant while it is probed", tenantOf(r, q.TenantID).State, hub.TenantProvisioning)
					steps := stepsOf(r, q.ID)
					for over := time.Now().Add(time.Minute); steps[len(steps)-1].Status == hub.StepPending; steps = stepsOf(r, q.ID) { // shown when the step has taken a while
						if time.Now().After(over) {
							return errors.New("the probe is never shown as running")
						}
					}
					for i, x := range steps {
						want := hub.StepDone
						if i == len(steps)-1 {
							want = hub.StepRunning
						}
						equal(t, "status of "+x.Name, x.Status, want)
					}
					_, err := r.RevealToCustomer(t.Context(), s.StatusToken)
					wantCode(t, err, hub.CodeInvalidTransition)
					return nil
				})
				r.Work()
				equal(t, "probes", probes, 1)
				q := wantReady(t, r, s.Request.ID)
				equal(t, "audit log", r.Log(q.ID), []string{"request.create", "request.claim", "request.credentials", "request.start", "request.complete"})
				equal(t, "claimer", q.AssignedTo, hub.AutoAssignee)
				equal(t, "metrics", r.Meter.Counts(), [3]int{1, 1, 0})
				equal(t, "last mail", r.Mailer.Sent[len(r.Mailer.Sent)-1].Kind, hub.MailReady)
				fine(t, r.Provision(t.Context(), q.ID)) // a job that comes late
				equal(t, "after a late job", r.Row(q.ID), q)
			})
		})
	}
}

// brokenAt puts a script that does not run into the catalog, and gives the way to mend it.
func brokenAt(r *hubtest.Rig, feature string, n int) (mend func()) {
	was := hubtest.Feature(r.Catalogs.Current(), feature).Migrations[n]
	edit := func(s hub.Script) {
		r.Catalogs.Edit(func(c *hub.Catalog) { hubtest.Feature(c, feature).Migrations[n] = s })
	}
	edit(hubtest.Script(feature, was.Name, "CREATE TABLE half_done (x INTEGER);\nINSERT INTO effects (step) VALUES ('half');\nCREATE TABLE broken (;\n"))
	return func() { edit(was) }
}

// TestResumesAtTheFailedStep: the reason names step, file and line; after the catalog is mended a retry goes on there and repeats nothing.
func TestResumesAtTheFailedStep(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]func(*hubtest.Rig) *hubtest.Rig{
		"by template": func(r *hubtest.Rig) *hubtest.Rig { return r }, "step by step": (*hubtest.Rig).Bare,
	} {
		t.Run(name, func(t *testing.T) {
			hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
				r = way(r)
				a := r.Operator("op", hub.Provisioner)
				mend := brokenAt(r, "sales", 1)
				fine(t, r.Catalogs.Reload(t.Context()))
				s := r.Join("a@example.com", "pro")
				r.Work()
				q := r.Row(s.Request.ID)
				equal(t, "state", q.State, hub.Failed)
				equal(t, "failure", []any{q.Failure.Step, q.Failure.Class, q.Failure.File, q.Failure.Line}, []any{"sales/0002", hub.ClassCatalog, "features/sales/0002.sql", 3})
				if q.Failure.Action == "" || strings.Contains(q.Failure.Customer, "TABLE") || q.Worker != "" {
					t.Errorf("failure %+v, worker %q", q.Failure, q.Worker)
				}
				st, err := r.StatusOf(t.Context(), s.StatusToken)
				fine(t, err)
				equal(t, "reason", st.Reason, q.Failure.Customer)
				before := stepsOf(r, q.ID)
				broken := slices.IndexFunc(before, func(x hub.StepRecord) bool { return x.Name == "sales/0002" })
				for i, x := range before {
					want := map[bool]hub.StepStatus{true: hub.StepDone, false: hub.StepPending}[i < broken]
					if i == broken {
						want = hub.StepFailed
					}
					equal(t, "status of "+x.Name, x.Status, want)
				}
				equal(t, "tenant", tenantOf(r, q.TenantID).State, hub.TenantError)
				equal(t, "half of a step", r.Effects(q.TenantID)["half"], 0)

				_, err = r.Retry(t.Context(), a, q.ID) // not mended yet: the same again
				fine(t, err)
				r.Work()
				equal(t, "failed again at", r.Row(q.ID).Failure.Step, "sales/0002")
				equal(t, "tries", stepsOf(r, q.ID)[broken].Tries, 2)

				mend()
				back, err := r.Retry(t.Context(), a, q.ID)
				fine(t, err)
				equal(t, "after retry", back.State, hub.CredentialsReceived)
				r.Work()
				wantReady(t, r, q.ID)
				after := stepsOf(r, q.ID)
				for i := range broken {
					if before[i].Kind == hub.StepMigrate {
						equal(t, "a step that was done", after[i], before[i])
					}
				}
				equal(t, "metrics", r.Meter.Counts(), [3]int{1, 1, 2})
			})
		})
	}
}

// TestCatalogLosesAFeature: what was bought and is gone fails with its reason instead of being tried for ever; put back, it goes on.
func TestCatalogLosesAFeature(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		a := r.Operator("op", hub.Provisioner)
		s := r.Join("a@example.com", "enterprise")
		was := *hubtest.Feature(r.Catalogs.Current(), "hr")
		r.Catalogs.Edit(func(c *hub.Catalog) {
			c.Features = slices.DeleteFunc(c.Features, func(f hub.Feature) bool { return f.Name == "hr" })
		})
		fine(t, r.Catalogs.Reload(t.Context()))
		_, err := r.Claim(t.Context(), a, s.Request.ID)
		fine(t, err)
		_, op, err := r.GiveCredentials(t.Context(), a, s.Request.ID, hub.Offer{Provider: "sqlite"})
		fine(t, err)
		r.Work()
		q := r.Row(s.Request.ID)
		equal(t, "state", q.State, hub.Failed)
		equal(t, "failure", []any{q.Failure.Step, q.Failure.Class}, []any{"plan", hub.ClassCatalog})
		v, err := r.OperationView(t.Context(), op.ID)
		fine(t, err)
		equal(t, "operation", v.Status, "failed")
		r.Catalogs.Edit(func(c *hub.Catalog) { c.Features = slices.Insert(c.Features, 1, was) })
		_, err = r.Retry(t.Context(), a, q.ID)
		fine(t, err)
		r.Work()
		wantReady(t, r, q.ID)
	})
}

// TestPassingTroubleIsTriedAgain by itself; what is not passing is not.
func TestPassingTroubleIsTriedAgain(t *testing.T) {
	t.Parallel()
	r := hubtest.New(t, hubtest.SQLite(t))
	failing := func(class hub.Class, times int) (calls *int) {
		calls = new(int)
		r.TenantDB.Before(func(_ context.Context, step string) error {
			if step != "probe" {
				return nil
			}
			if *calls++; *calls <= times {
				return &hub.StepError{Class: class, Err: errors.New("not now")}
			}
			return nil
		})
		return calls
	}
	s := r.Join("a@example.com", "starter")
	calls := failing(hub.ClassNetwork, 1)
	r.Work()
	equal(t, "calls", *calls, 2)
	wantReady(t, r, s.Request.ID)
	steps := stepsOf(r, s.Request.ID)
	equal(t, "tries on record", steps[len(steps)-1].Tries, 2)

	s = r.Join("b@example.com", "starter")
	calls = failing(hub.ClassData, 1)
	r.Work()
	equal(t, "calls", *calls, 1)
	equal(t, "state", r.Row(s.Request.ID).State, hub.Failed)
}

// byOperator brings an enterprise request to credentials_received; nothing is made yet.
func byOperator(t *testing.T, r *hubtest.Rig, email string) *hub.Request {
	t.Helper()
	a := r.Operator("op "+email, hub.Provisioner)
	s := r.Join(email, "enterprise")
	_, err := r.Claim(t.Context(), a, s.Request.ID)
	fine(t, err)
	q, _, err := r.GiveCredentials(t.Context(), a, s.Request.ID, hub.Offer{Provider: "sqlite"})
	fine(t, err)
	return q
}

func fileOf(t *testing.T, r *hubtest.Rig, tenantID string) string {
	t.Helper()
	_, c, err := r.Files.Plan(t.Context(), tenantID, 1)
	fine(t, err)
	return filepath.Clean(strings.TrimPrefix(c.URL, "sqlite:///"))
}

// TestForeignDatabaseIsNeverTouched: neither by the pipeline nor by the cleanup of a cancelled request.
func TestForeignDatabaseIsNeverTouched(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		owner := r.Join("a@example.com", "starter")
		r.Work()
		foreign, err := os.ReadFile(fileOf(t, r, r.Row(owner.Request.ID).TenantID))
		fine(t, err)
		q := byOperator(t, r, "b@example.com")
		path := fileOf(t, r, q.TenantID)
		fine(t, os.WriteFile(path, foreign, 0o600))
		r.Work()
		q = r.Row(q.ID)
		equal(t, "state", q.State, hub.Failed)
		equal(t, "failure", []any{q.Failure.Step, q.Failure.Class, q.Failure.Code}, []any{"create", hub.ClassData, "IDENTITY_MISMATCH"})
		admin := r.Operator("admin", hub.Admin)
		_, err = r.Cancel(t.Context(), admin, q.ID)
		fine(t, err)
		if err := r.Cleanup(t.Context(), q.TenantID); err == nil {
			t.Error("the cleanup said that it went well")
		}
		equal(t, "tenant", tenantOf(r, q.TenantID).State, hub.TenantOffboarding)
		now, err := os.ReadFile(path)
		fine(t, err)
		if !slices.Equal(now, foreign) {
			t.Error("the foreign database was changed")
		}
	})
}

// TestCancelCleansUp at whatever point the request was.
func TestCancelCleansUp(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		admin := r.Operator("admin", hub.Admin)
		t.Run("before anything was made", func(t *testing.T) {
			q := byOperator(t, r, "a@example.com")
			_, err := r.Cancel(t.Context(), admin, q.ID)
			fine(t, err)
			r.Work() // the provision job comes too late, then the cleanup
			equal(t, "state", r.Row(q.ID).State, hub.Cancelled)
			purged(t, r, q)
		})
		t.Run("after a step failed", func(t *testing.T) {
			r.TenantDB.Before(func(_ context.Context, step string) error {
				return map[bool]error{true: errors.New("broken")}[step == "probe"]
			})
			q := byOperator(t, r, "b@example.com")
			r.Work()
			equal(t, "state", r.Row(q.ID).State, hub.Failed)
			if _, err := os.Stat(fileOf(t, r, q.TenantID)); err != nil {
				t.Fatal(err)
			}
			_, err := r.Cancel(t.Context(), admin, q.ID)
			fine(t, err)
			r.Work()
			purged(t, r, q)
			fine(t, r.Cleanup(t.Context(), q.TenantID)) // once more is harmless
			_, err = r.Reveal(t.Context(), admin, q.TenantID)
			wantCode(t, err, hub.CodeInvalidTransition)
		})
	})
}

func purged(t *testing.T, r *hubtest.Rig, q *hub.Request) {
	t.Helper()
	equal(t, "tenant", tenantOf(r, q.TenantID).State, hub.TenantPurged)
	equal(t, "on record", r.Log(q.TenantID), []string{"tenant.purge"})
	if _, err := os.Stat(fileOf(t, r, q.TenantID)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file: %v", err)
	}
}

// TestReveal: the customer gets the connection details once, an operator as often as they ask, each time on record.
func TestReveal(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		s := r.Join("a@example.com", "starter")
		r.Work()
		got := make([]hub.Credentials, 4)
		won := 0
		for i, err := range atOnce(len(got), func(i int) (err error) { got[i], err = r.RevealToCustomer(t.Context(), s.StatusToken); return err }) {
			if err == nil {
				won++
				if !strings.HasPrefix(got[i].URL, "sqlite:///") || got[i].Env["DATABASE_URL"] != got[i].URL {
					t.Errorf("got %+v", got[i])
				}
				continue
			}
			wantCode(t, err, hub.CodeAlreadyRevealed)
		}
		equal(t, "times given", won, 1)
		q := r.Row(s.Request.ID)
		st, err := r.StatusOf(t.Context(), s.StatusToken)
		fine(t, err)
		equal(t, "status says so", st.Revealed, true)
		admin := r.Operator("admin", hub.Admin)
		for range 2 {
			_, err := r.Reveal(t.Context(), admin, q.TenantID)
			fine(t, err)
		}
		equal(t, "on record", r.Log(q.TenantID), []string{"tenant.reveal", "tenant.reveal", "tenant.reveal"})
		e := lastEntry(r, q.TenantID)
		if e.ActorID != admin.ID || len(e.Detail) != 0 {
			t.Errorf("the entry %+v", e)
		}
	})
}
