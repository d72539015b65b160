package hub_test

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/hub/hubtest"
)

// onCluster is a hub on a cluster of its own, with a way to get a customer there, and to run SQL as the hub's role.
func onCluster(t *testing.T) (r *hubtest.Rig, tenant func(email string) *hub.Tenant, exec func(string)) {
	t.Helper()
	c := hubtest.NewCluster(t)
	r = hubtest.New(t, hubtest.SQLite(t)).Pooled(c, 0)
	return r, func(email string) *hub.Tenant {
		s := r.Join(email, "starter")
		r.Work()
		wantReadyOnCluster(t, r, s.Request.ID)
		return tenantOf(r, r.Row(s.Request.ID).TenantID)
	}, c.Exec(t)
}

func nameOf(b hub.Backend) string { return b.Place[strings.Index(b.Place, "/")+1:] }

// logsIn reports whether a customer's program gets in with these details.
func logsIn(t *testing.T, address string) bool {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		return false
	}
	fine(t, conn.Close(context.WithoutCancel(t.Context())))
	return true
}

// TestReconcileGivesARenamedDatabaseItsNameBack: its logins, and what its customer holds, have the old name.
func TestReconcileGivesARenamedDatabaseItsNameBack(t *testing.T) {
	t.Parallel()
	r, tenant, exec := onCluster(t)
	for _, state := range []hub.TenantState{hub.TenantActive, hub.TenantSuspended} {
		n := tenant(string(state) + "@example.com")
		details := r.Credentials(n.ID)
		if state != hub.TenantActive {
			fine(t, r.Clusters().Quarantine(t.Context(), n.Backend))
			hubtest.Exec(r, `UPDATE tenants SET state = $1 WHERE id = $2`, string(state), n.ID)
		}
		old := nameOf(n.Backend)
		renamed := old[:len(old)-26] + strings.Repeat("z", 26)
		exec(`ALTER DATABASE ` + old + ` RENAME TO ` + renamed)

		finding := "mismatch database main/" + renamed
		for _, mode := range []hub.ReconcileMode{hub.ReconcileDryRun, hub.ReconcileQuarantine, hub.ReconcileDrop} {
			equal(t, string(mode), said(reconcile(t, r, mode)), []string{finding})
		}
		fine(t, r.TidyNow(t.Context(), true))
		equal(t, "adopted", said(reconcile(t, r, hub.ReconcileAdopt)), []string{finding + ": adopted"})
		equal(t, "its record", tenantOf(r, n.ID).Backend, n.Backend)
		equal(t, "what its customer holds", r.Credentials(n.ID).URL, details.URL)
		equal(t, "its customer gets in", logsIn(t, details.URL), state == hub.TenantActive)
		equal(t, "afterwards", said(reconcile(t, r, hub.ReconcileDryRun)), []string(nil))
		has(t, "on record", r.Log(n.ID), "reconcile.adopted")
	}
}

// TestReconcileRenamesNothingOverAnother: what stands under the old name is somebody's, and a seal that is not the tenant's moves nothing.
func TestReconcileRenamesNothingOverAnother(t *testing.T) {
	t.Parallel()
	r, tenant, exec := onCluster(t)
	n := tenant("a@example.com")
	old := nameOf(n.Backend)
	renamed := old[:len(old)-26] + strings.Repeat("z", 26)
	exec(`ALTER DATABASE ` + old + ` RENAME TO ` + renamed)
	exec(`CREATE DATABASE ` + old)
	for range 2 {
		out := reconcile(t, r, hub.ReconcileAdopt)
		equal(t, "both are left", said(out), []string{"mismatch database " + n.Backend.Place, "mismatch database main/" + renamed})
	}
	exec(`DROP DATABASE ` + old)
	exec(`GRANT ` + old + `_o TO CURRENT_USER`)
	hubtest.Exec(r, `UPDATE tenants SET place = 'elsewhere/'||$1 WHERE id = $2`, old, n.ID) // the name and the cluster: nobody can tell
	out := reconcile(t, r, hub.ReconcileAdopt)
	if slices.ContainsFunc(out.Findings, func(f hub.Finding) bool { return f.Done != "" }) {
		t.Errorf("adopted all the same: %v", said(out))
	}
	hubtest.Exec(r, `UPDATE tenants SET place = $1 WHERE id = $2`, n.Backend.Place, n.ID)
	exec(`ALTER DATABASE ` + renamed + ` RENAME TO ` + old)
	forge(t, r, n.ID)
	exec(`ALTER DATABASE ` + old + ` RENAME TO ` + renamed)
	equal(t, "a forged seal", said(reconcile(t, r, hub.ReconcileAdopt)), []string{"mismatch database main/" + renamed + ": refused"})
}

// TestReconcileCorrectsTheClusterOfADatabase: of the same name on another cluster, as after a cluster got another name here.
func TestReconcileCorrectsTheClusterOfADatabase(t *testing.T) {
	t.Parallel()
	r, tenant, _ := onCluster(t)
	n := tenant("a@example.com")
	hubtest.Exec(r, `UPDATE tenants SET place = $1 WHERE id = $2`, "former/"+nameOf(n.Backend), n.ID)
	out := reconcile(t, r, hub.ReconcileAdopt)
	has(t, "adopted", said(out), "mismatch database "+n.Backend.Place+": adopted")
	equal(t, "its record", tenantOf(r, n.ID).Backend, n.Backend)
	equal(t, "its customer gets in", logsIn(t, r.Credentials(n.ID).URL), true)
	equal(t, "afterwards", said(reconcile(t, r, hub.ReconcileDryRun)), []string(nil))
}

// forge makes the seal of a tenant's database not this hub's.
func forge(t *testing.T, r *hubtest.Rig, tenantID string) {
	t.Helper()
	withOwner(t, r, tenantID, func(db *sql.DB) {
		_, err := db.ExecContext(t.Context(), `UPDATE kitshub_identity SET mac = 'forged'`)
		fine(t, err)
	})
}

func withOwner(t *testing.T, r *hubtest.Rig, tenantID string, f func(db *sql.DB)) {
	t.Helper()
	db := r.As(tenantID, hub.RoleOwner)
	f(db)
	fine(t, db.Close())
}

// TestReconcileMakesLostLoginsAgain: as after a dump was restored without its roles.
func TestReconcileMakesLostLoginsAgain(t *testing.T) {
	t.Parallel()
	r, tenant, exec := onCluster(t)
	lose := func(b hub.Backend, suffixes ...string) {
		t.Helper()
		for _, s := range suffixes {
			role := nameOf(b) + s
			exec(`GRANT ` + role + ` TO CURRENT_USER; REVOKE ALL ON DATABASE ` + nameOf(b) + ` FROM ` + role + `; DROP ROLE ` + role)
		}
	}
	for _, lost := range [][]string{{"_r"}, {"_o"}, {"_o", "_r"}} {
		n := tenant("a" + strings.Join(lost, "") + "@example.com")
		details := r.Credentials(n.ID)
		lose(n.Backend, lost...)
		want := make([]string, len(lost))
		for i := range lost {
			want[i] = "mismatch login " + n.Backend.Place
		}
		fine(t, r.TidyNow(t.Context(), true))
		equal(t, "found", said(reconcile(t, r, hub.ReconcileDrop)), want)
		for _, f := range said(reconcile(t, r, hub.ReconcileAdopt)) {
			equal(t, "adopted", f, want[0]+": adopted")
		}
		equal(t, "its customer gets in", logsIn(t, details.URL), true)
		equal(t, "the hub gets in", r.Effects(n.ID)["core/0001"], 1)
		equal(t, "afterwards", said(reconcile(t, r, hub.ReconcileDryRun)), []string(nil))
	}

	n := tenant("forged@example.com")
	forge(t, r, n.ID)
	lose(n.Backend, "_r")
	has(t, "a forged seal", said(reconcile(t, r, hub.ReconcileAdopt)), "mismatch login "+n.Backend.Place+": refused")
	equal(t, "nobody gets in", logsIn(t, r.Credentials(n.ID).URL), false)

	hubtest.Exec(r, `UPDATE tenants SET state = 'suspended' WHERE id = $1`, n.ID)
	equal(t, "suspended", said(reconcile(t, r, hub.ReconcileAdopt)), []string{"mismatch database " + n.Backend.Place}) // its seal
}

// TestReconcileNamesForeignLogins: a role with the name of a database's login and without the hub's marker is somebody else's.
func TestReconcileNamesForeignLogins(t *testing.T) {
	t.Parallel()
	r, tenant, exec := onCluster(t)
	n := tenant("a@example.com")
	old := nameOf(n.Backend)
	lonely := old[:len(old)-26] + strings.Repeat("y", 26) + "_r"
	exec(`CREATE ROLE ` + lonely)
	exec(`GRANT ` + old + `_r TO CURRENT_USER; COMMENT ON ROLE ` + old + `_r IS NULL`)
	want := []string{"mismatch login " + n.Backend.Place, "orphan login main/" + strings.TrimSuffix(lonely, "_r")}
	for _, mode := range []hub.ReconcileMode{hub.ReconcileDryRun, hub.ReconcileAdopt, hub.ReconcileQuarantine, hub.ReconcileDrop} {
		equal(t, string(mode), said(reconcile(t, r, mode)), want)
	}
	equal(t, "its customer gets in", logsIn(t, r.Credentials(n.ID).URL), true)
}

// TestReconcileAnOrphanWithoutLoginsAndWithAForeignSeal: nobody put it in quarantine, and somebody has to look at it.
func TestReconcileAnOrphanWithoutLoginsAndWithAForeignSeal(t *testing.T) {
	t.Parallel()
	r, tenant, exec := onCluster(t)
	n := tenant("a@example.com")
	forge(t, r, n.ID)
	for _, s := range []string{"_r", "_o"} {
		role := nameOf(n.Backend) + s
		exec(`GRANT ` + role + ` TO CURRENT_USER; REVOKE ALL ON DATABASE ` + nameOf(n.Backend) + ` FROM ` + role + `; DROP ROLE ` + role)
	}
	forget(r, n.ID)
	line := "orphan database " + n.Backend.Place
	out := reconcile(t, r, hub.ReconcileDryRun)
	equal(t, "found", said(out), []string{line})
	equal(t, "left", out.Left(), 1)
	for _, mode := range []hub.ReconcileMode{hub.ReconcileQuarantine, hub.ReconcileDrop} {
		equal(t, string(mode), said(reconcile(t, r, mode)), []string{line + ": refused"})
	}
}
