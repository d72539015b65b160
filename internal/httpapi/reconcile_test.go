package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
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
