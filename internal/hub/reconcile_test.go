package hub_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/hub/hubtest"
)

var cli = hub.CLIActor()

func reconcile(t *testing.T, r *hubtest.Rig, mode hub.ReconcileMode) *hub.Reconciliation {
	t.Helper()
	out, err := r.Reconcile(t.Context(), cli, hub.ReconcileOptions{Mode: mode, Seals: true})
	fine(t, err)
	if len(out.Unknown) > 0 {
		t.Errorf("not looked at: %v", out.Unknown)
	}
	return out
}

// said gives each finding as kind, thing, place and what was done.
func said(out *hub.Reconciliation) (list []string) {
	for _, f := range out.Findings {
		s := f.Kind + " " + string(f.What) + " " + f.Place
		if f.Quarantined {
			s += " (quarantined)"
		}
		if f.Done != "" {
			s += ": " + f.Done
		}
		if f.Error != "" {
			s += ": refused"
		}
		list = append(list, s)
	}
	slices.Sort(list)
	return list
}

// forget takes a tenant's row away, as when the hub's database was replaced by an older one.
func forget(r *hubtest.Rig, tenantID string) {
	r.T.Helper()
	for _, sql := range []string{`UPDATE requests SET tenant_id = '', state = 'cancelled' WHERE tenant_id = $1`, `DELETE FROM tenants WHERE id = $1`} {
		hubtest.Exec(r, sql, tenantID)
	}
}

// TestReconcileFiles: on SQLite, in the hub's own directory.
func TestReconcileFiles(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		tenant := func(email string) *hub.Tenant {
			s := r.Join(email, "starter")
			r.Work()
			return tenantOf(r, r.Row(s.Request.ID).TenantID)
		}
		fit, orphan, ghost, swapped, moved := tenant("a@example.com"), tenant("b@example.com"), tenant("c@example.com"), tenant("d@example.com"), tenant("e@example.com")
		if out := reconcile(t, r, hub.ReconcileDryRun); len(out.Findings) != 0 || out.Left() != 0 || out.Seals != 5 || out.Seen != 5 {
			t.Fatalf("all is well, and it says %+v", out)
		}
		forget(r, orphan.ID)
		fine(t, os.Remove(fileOf(t, r, ghost.ID)))
		foreign, err := os.ReadFile(fileOf(t, r, fit.ID))
		fine(t, err)
		fine(t, os.WriteFile(fileOf(t, r, swapped.ID), foreign, 0o600))
		hubtest.Exec(r, `UPDATE tenants SET place = 'nowhere.g1.db' WHERE id = $1`, moved.ID)
		want := []string{
			"ghost database " + ghost.Backend.Place, "mismatch database " + swapped.Backend.Place, "mismatch database " + moved.Backend.Place,
			"orphan database " + orphan.Backend.Place,
		}
		slices.Sort(want)
		for range 2 {
			out := reconcile(t, r, hub.ReconcileDryRun)
			equal(t, "findings", said(out), want)
			equal(t, "left", out.Left(), 4)
		}

		out := reconcile(t, r, hub.ReconcileAdopt)
		has(t, "adopted", said(out), "mismatch database "+moved.Backend.Place+": adopted")
		equal(t, "left", out.Left(), 3)
		equal(t, "its place", tenantOf(r, moved.ID).Backend, moved.Backend)
		has(t, "on record", r.Log(moved.ID), "reconcile.adopted")
		equal(t, "the change itself", []any{lastEntry(r, moved.ID).Action, lastEntry(r, moved.ID).Detail},
			[]any{"tenant.relocate", map[string]any{"from": "nowhere.g1.db", "to": moved.Backend.Place}})

		out = reconcile(t, r, hub.ReconcileQuarantine)
		has(t, "quarantined", said(out), "orphan database "+orphan.Backend.Place+": quarantined")
		if _, err := os.Stat(fileOf(t, r, orphan.ID)); !os.IsNotExist(err) {
			t.Errorf("the file in quarantine: %v", err)
		}
		has(t, "afterwards", said(reconcile(t, r, hub.ReconcileQuarantine)), "orphan database "+orphan.Backend.Place+" (quarantined)")

		out = reconcile(t, r, hub.ReconcileDrop)
		has(t, "dropped", said(out), "orphan database "+orphan.Backend.Place+" (quarantined): dropped")
		equal(t, "left", out.Left(), 2) // the ghost and the swapped one are people's
		equal(t, "on record", r.Log(orphan.ID), []string{"reconcile.quarantined", "reconcile.dropped"})
		left, err := filepath.Glob(filepath.Join(filepath.Dir(fileOf(t, r, orphan.ID)), "*", orphan.ID+"*"))
		fine(t, err)
		equal(t, "files of the orphan", len(left), 0)
		equal(t, "the swapped file", len(reconcile(t, r, hub.ReconcileDrop).Findings), 2)
		now, err := os.ReadFile(fileOf(t, r, swapped.ID))
		fine(t, err)
		if !slices.Equal(now, foreign) {
			t.Error("a file with another tenant's seal was touched")
		}
	})
}

// TestReconcileRefusesForeignSeals: an orphan whose seal names another, or is another hub's, is not dropped.
func TestReconcileRefusesForeignSeals(t *testing.T) {
	t.Parallel()
	r := hubtest.New(t, hubtest.SQLite(t))
	s := r.Join("a@example.com", "starter")
	r.Work()
	n := tenantOf(r, r.Row(s.Request.ID).TenantID)
	foreign, err := os.ReadFile(fileOf(t, r, n.ID))
	fine(t, err)
	_, c, err := r.Files.Plan(t.Context(), "ten_stranger", 1)
	fine(t, err)
	path := strings.TrimPrefix(c.URL, "sqlite:///")
	fine(t, os.WriteFile(path, foreign, 0o600))
	look := reconcile(t, r, hub.ReconcileDryRun).Findings[0] // says beforehand what the others will refuse
	if !strings.Contains(look.Problem, "the seal inside says "+n.ID) || !strings.Contains(look.Fix, "Look by hand") {
		t.Errorf("%q, %q", look.Problem, look.Fix)
	}
	for _, mode := range []hub.ReconcileMode{hub.ReconcileDrop, hub.ReconcileQuarantine} {
		equal(t, "findings", said(reconcile(t, r, mode)), []string{"orphan database ten_stranger.g1.db: refused"})
	}
	db := r.As(n.ID, hub.RoleOwner)
	_, err = db.ExecContext(t.Context(), `UPDATE kitshub_identity SET mac = 'forged'`)
	fine(t, err)
	fine(t, db.Close())
	fine(t, os.Remove(path))
	out := reconcile(t, r, hub.ReconcileDryRun)
	equal(t, "findings", said(out), []string{"mismatch database " + n.Backend.Place})
	if !strings.Contains(out.Findings[0].Problem, "not made by this hub") {
		t.Error(out.Findings[0].Problem)
	}
	forget(r, n.ID)
	equal(t, "findings", said(reconcile(t, r, hub.ReconcileDrop)), []string{"orphan database " + n.Backend.Place + ": refused"})

	_, err = r.Reconcile(t.Context(), hub.Actor{Rank: hub.Provisioner}, hub.ReconcileOptions{Mode: hub.ReconcileDryRun})
	wantCode(t, err, hub.CodeForbidden)
	r.Store.FailAudit(true) // no audit, no change
	fine(t, os.WriteFile(filepath.Join(filepath.Dir(path), "ten_other.g1.db"), nil, 0o600))
	for _, f := range said(reconcile(t, r, hub.ReconcileDrop)) {
		if !strings.HasSuffix(f, "refused") {
			t.Error(f)
		}
	}
}

// TestReconcileACluster: everything that a cluster can have, by what is done about it.
func TestReconcileACluster(t *testing.T) {
	t.Parallel()
	c := hubtest.NewCluster(t)
	r := hubtest.New(t, hubtest.SQLite(t)).Pooled(c, 0)
	p := r.Clusters()
	tenant := func(email string) *hub.Tenant {
		s := r.Join(email, "starter")
		r.Work()
		equal(t, "state", r.Row(s.Request.ID).State, hub.Completed)
		return tenantOf(r, r.Row(s.Request.ID).TenantID)
	}
	fit, orphan, ghost, shut, purged := tenant("a@example.com"), tenant("b@example.com"), tenant("c@example.com"), tenant("d@example.com"), tenant("e@example.com")
	equal(t, "all is well", said(reconcile(t, r, hub.ReconcileDryRun)), []string(nil))

	sql := c.Exec(t)
	name := func(id string) string {
		b, _, err := p.Plan(t.Context(), id, 1)
		fine(t, err)
		return strings.TrimPrefix(b.Place, "main/")
	}
	half, foreign, lonely := name("ten_half"), name("ten_foreign"), name("ten_lonely")
	pool, cr, err := p.Plan(t.Context(), hub.MemberPrefix+"lost", 1)
	fine(t, err)
	_, err = p.Prepare(t.Context(), pool, cr, hub.Template{})
	fine(t, err)
	lost, cr, err := p.Plan(t.Context(), "ten_lonely", 1)
	fine(t, err)
	fine(t, p.Create(t.Context(), lost, cr, hub.Template{})) // marked and never sealed
	sql(`DROP DATABASE ` + lonely)                           // leaves its two logins
	sql(`CREATE DATABASE ` + half + ` ALLOW_CONNECTIONS false`)
	sql(`CREATE DATABASE ` + foreign)
	defer sql(`DROP DATABASE ` + foreign)
	forget(r, orphan.ID)
	fine(t, p.Drop(t.Context(), ghost.Backend, hub.Credentials{}))
	fine(t, p.Quarantine(t.Context(), shut.Backend))
	hubtest.Exec(r, `UPDATE tenants SET state = 'purged' WHERE id = $1`, purged.ID)

	orphanLine, foreignLine, ghostLine := "orphan database "+orphan.Backend.Place, "orphan database main/"+foreign, "ghost database "+ghost.Backend.Place
	want := []string{
		orphanLine, foreignLine, ghostLine, "orphan database " + purged.Backend.Place, "mismatch login " + shut.Backend.Place, "mismatch login " + shut.Backend.Place,
		"orphan database main/" + half, "orphan database " + pool.Place, "orphan login main/" + lonely, "orphan login main/" + lonely,
	}
	slices.Sort(want)
	out, err := r.Reconcile(t.Context(), cli, hub.ReconcileOptions{Mode: hub.ReconcileDryRun})
	fine(t, err)
	equal(t, "findings", said(out), want)

	fine(t, r.Beat(t.Context()))
	younger := r.Another("ins_2", "other home")
	fine(t, younger.Beat(t.Context()))
	fine(t, younger.TidyNow(t.Context(), false)) // looks after its own files only
	equal(t, "after a younger hub tidied", said(reconcileUnsealed(t, r)), want)
	fine(t, r.TidyNow(t.Context(), false)) // what is surely nobody's goes by itself
	want = []string{orphanLine, foreignLine, ghostLine, "orphan database " + purged.Backend.Place, "mismatch login " + shut.Backend.Place, "mismatch login " + shut.Backend.Place}
	slices.Sort(want)
	equal(t, "after tidying", said(reconcileUnsealed(t, r)), want)
	equal(t, "metrics", r.Meter.Left(), map[string]int{hub.Orphan: 3, hub.Ghost: 1, hub.Mismatch: 2})

	out = reconcile(t, r, hub.ReconcileAdopt)
	has(t, "adopted", said(out), "mismatch login "+shut.Backend.Place+": adopted")
	db, err := p.Open(t.Context(), shut.Backend, r.Credentials(shut.ID), hub.RoleTenant)
	fine(t, err)
	fine(t, db.Close())

	out = reconcile(t, r, hub.ReconcileQuarantine)
	has(t, "quarantined", said(out), orphanLine+": quarantined")
	out = reconcile(t, r, hub.ReconcileDryRun)
	has(t, "quarantined", said(out), orphanLine+" (quarantined)")
	equal(t, "left", out.Left(), 2) // the foreign one and the ghost

	out = reconcile(t, r, hub.ReconcileDrop)
	has(t, "dropped", said(out), orphanLine+" (quarantined): dropped")
	want = []string{foreignLine, ghostLine}
	slices.Sort(want)
	equal(t, "what is people's", said(reconcile(t, r, hub.ReconcileDrop)), want)
	bare, cr, err := p.Plan(t.Context(), "ten_bare", 1) // without logins nobody can log in
	fine(t, err)
	fine(t, p.Create(t.Context(), bare, cr, hub.Template{}))
	login := strings.TrimPrefix(bare.Place, "main/")
	for _, role := range []string{login + "_o", login + "_r"} {
		sql(`ALTER ROLE ` + role + ` RENAME TO x` + role)
		defer sql(`DROP ROLE x` + role)
	}
	for _, mode := range []hub.ReconcileMode{hub.ReconcileDryRun, hub.ReconcileQuarantine} {
		has(t, "without logins", said(reconcile(t, r, mode)), "orphan database "+bare.Place+" (quarantined)")
	}
	has(t, "without logins", said(reconcile(t, r, hub.ReconcileDrop)), "orphan database "+bare.Place+" (quarantined): dropped")
	equal(t, "who is fit", r.Effects(fit.ID)["core/0001"], 1)
	equal(t, "who was shut", r.Effects(shut.ID)["core/0001"], 1)
}

func reconcileUnsealed(t *testing.T, r *hubtest.Rig) *hub.Reconciliation {
	t.Helper()
	out, err := r.Reconcile(t.Context(), cli, hub.ReconcileOptions{Mode: hub.ReconcileDryRun})
	fine(t, err)
	return out
}

// TestReconcileLeavesAloneWhatIsInFlight: while requests are worked, members made and templates built, nothing shows and nothing is removed.
func TestReconcileLeavesAloneWhatIsInFlight(t *testing.T) {
	t.Parallel()
	c := hubtest.NewCluster(t)
	r := hubtest.New(t, hubtest.SQLite(t)).Pooled(c, 1)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		other := r.Another("ins_other", "other home")
		for ctx.Err() == nil {
			out, err := other.Reconcile(ctx, cli, hub.ReconcileOptions{Mode: hub.ReconcileDrop})
			if err == nil && (len(out.Findings) > 0 || len(out.Unknown) > 0) {
				t.Errorf("while all is in flight: %v, %v", said(out), out.Unknown)
			}
			if err != nil && ctx.Err() == nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	for i, plan := range []string{"starter", "pro", "starter"} {
		s := r.Join(string(rune('a'+i))+"@example.com", plan)
		r.Work()
		wantReadyOnCluster(t, r, s.Request.ID)
		fine(t, r.FillPool(t.Context()))
	}
	stop()
	fine(t, <-ended)
	equal(t, "in the end", said(reconcile(t, r, hub.ReconcileDryRun)), []string(nil))
}

func wantReadyOnCluster(t *testing.T, r *hubtest.Rig, id string) {
	t.Helper()
	q := r.Row(id)
	if q.State != hub.Completed {
		t.Fatalf("%s: %+v", q.State, q.Failure)
	}
}

// TestReconcileACLusterThatIsAway: what is on it is not taken for ghosts, and the result says what could not be looked at.
func TestReconcileAClusterThatIsAway(t *testing.T) {
	t.Parallel()
	c := hubtest.NewCluster(t)
	r := hubtest.New(t, hubtest.SQLite(t)).Pooled(c, 0)
	s := r.Join("a@example.com", "starter")
	r.Work()
	wantReadyOnCluster(t, r, s.Request.ID)
	away := r.Pooled(c.Away(t), 0)
	out, err := away.Reconcile(t.Context(), cli, hub.ReconcileOptions{Mode: hub.ReconcileDrop, Seals: true})
	fine(t, err)
	equal(t, "findings", said(out), []string(nil))
	if len(out.Unknown) != 1 || out.Left() != 1 {
		t.Errorf("%+v", out)
	}
}
