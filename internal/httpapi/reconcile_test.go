package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/testkit"
)

// TestReconcileIsShownToAdmins: what a lost row leaves behind, and nothing is changed by looking.
func TestReconcileIsShownToAdmins(t *testing.T) {
	r := newRig(t)
	r.work()
	id, _ := r.signUp(1, "starter")
	r.reach(id, hub.Completed)
	look := func() (findings []any, left any) {
		t.Helper()
		d := r.as(http.MethodGet, "/api/v1/reconcile", nil).want(http.StatusOK).JSON["data"].(map[string]any)
		return d["findings"].([]any), d["left"]
	}
	if f, left := look(); len(f) != 0 || left != float64(0) {
		t.Errorf("all is well, and it says %v", f)
	}
	tenant := r.as(http.MethodGet, "/api/v1/requests/"+id, nil).want(http.StatusOK).JSON["data"].(map[string]any)["tenant_id"].(string)
	for _, sql := range []string{`UPDATE requests SET tenant_id = '', state = 'cancelled'`, `DELETE FROM tenants`} {
		if _, err := r.Store.WriterDB().ExecContext(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		f, left := look()
		if len(f) != 1 || left != float64(1) {
			t.Fatalf("%v, %v left", f, left)
		}
		x := f[0].(map[string]any)
		if x["kind"] != hub.Orphan || x["what"] != "database" || x["tenant"] != tenant || x["problem"] == "" || x["fix"] == "" || x["quarantined"] != false {
			t.Errorf("%v", x)
		}
	}
	for _, rank := range []hub.Rank{hub.Provisioner, hub.Support} {
		r.call(http.MethodGet, "/api/v1/reconcile", nil, bearer(r.tokenFor(string(rank), rank))).want(http.StatusForbidden)
	}
	r.call(http.MethodGet, "/api/v1/reconcile", nil).want(http.StatusUnauthorized)
}

// What an operator brought is on a server that the hub cannot list; it looks into each database on record, and touches none.
func TestReconcileLooksIntoWhatWasBrought(t *testing.T) {
	r := newRig(t)
	r.work()
	g := newGround(t)
	id, _ := r.small(1)
	r.as("POST", "/api/v1/requests/"+id+"/claim", nil).want(200)
	r.as("POST", "/api/v1/requests/"+id+"/credentials", g.body()).want(202)
	r.reach(id, hub.Completed)
	req, err := r.Service.Request(t.Context(), id)
	ok(t, err)
	look := func() *hub.Reconciliation {
		t.Helper()
		out, err := r.Service.Reconcile(t.Context(), hub.CLIActor(), hub.ReconcileOptions{Mode: hub.ReconcileDrop, Seals: true})
		ok(t, err)
		return out
	}
	found := func(kind, problem string) {
		t.Helper()
		out := look()
		if len(out.Findings) != 1 || len(out.Unknown) != 0 || out.Left() != 1 {
			t.Fatalf("want one %s: %+v", kind, out)
		}
		if f := out.Findings[0]; f.Kind != kind || f.Tenant != req.TenantID || f.Provider != "manual" || !strings.Contains(f.Problem, problem) || f.Fix == "" {
			t.Errorf("%+v", f)
		}
	}
	if out := look(); len(out.Findings) != 0 || out.Seals != 1 || out.Left() != 0 {
		t.Errorf("all is well, and it says %+v", out)
	}

	pgExec(t, g.super, `UPDATE kitshub_identity SET tenant_id = 'ten_other'`)
	found(hub.Mismatch, "says tenant ten_other")
	pgExec(t, g.super, `DELETE FROM kitshub_identity`)
	found(hub.Mismatch, "bears no seal")

	server := testkit.ServerURL(t)
	pgExec(t, server, `ALTER DATABASE `+g.db+` RENAME TO `+g.db+`_away`)
	found(hub.Ghost, "no such database")
	pgExec(t, server, `ALTER DATABASE `+g.db+`_away RENAME TO `+g.db)
	pgExec(t, server, `ALTER ROLE `+g.user+` NOLOGIN`)
	out := look()
	if len(out.Findings) != 0 || len(out.Unknown) != 1 || out.Seals != 0 || out.Left() != 1 || strings.Contains(out.Unknown[0], secretWord) {
		t.Errorf("a login that is shut: %+v", out)
	}
}
