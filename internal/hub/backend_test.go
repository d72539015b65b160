package hub_test

import (
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/hub/hubtest"
	"github.com/kitshub/kitshub/internal/provider/sqlitefile"
)

// TestTheCustomerIsGivenThePlaceThatWasMade: one hub chooses the backend and dies; another, with a directory of its own, makes it. The
// connection details lead to the file that was made and probed.
func TestTheCustomerIsGivenThePlaceThatWasMade(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		ada := r.Operator("ada", hub.Admin)
		up := r.Join("moved@example.com", "enterprise")
		_, err := r.Claim(t.Context(), ada, up.Request.ID)
		fine(t, err)
		_, _, err = r.GiveCredentials(t.Context(), ada, up.Request.ID, hub.Offer{Provider: "sqlite"}) // chosen here
		fine(t, err)
		elsewhere, err := sqlitefile.New(sqlitefile.Config{Dir: t.TempDir()})
		fine(t, err)
		other := r.Another("ins_other", "home_other").With(func(d *hub.Deps) { d.Providers = map[string]hub.Provider{"sqlite": elsewhere} })
		fine(t, other.Provision(t.Context(), up.Request.ID)) // made there
		equal(t, "state", r.Row(up.Request.ID).State, hub.Completed)
		got, err := other.RevealToCustomer(t.Context(), up.StatusToken)
		fine(t, err)
		n := tenantOf(r, r.Row(up.Request.ID).TenantID)
		want, err := elsewhere.Here(n.Backend)
		fine(t, err)
		equal(t, "connection details", got, want)
		here, err := r.Files.Here(n.Backend)
		fine(t, err)
		if got.URL == here.URL {
			t.Error("the details lead to where nothing was made")
		}
		if _, err := r.Files.Open(t.Context(), n.Backend, got, hub.RoleTenant); err == nil {
			t.Error("a tenant's connection is opened that its details do not lead to")
		}
	})
}
