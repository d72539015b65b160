package hub_test

import (
	"fmt"
	"slices"
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

// TestGivenBackGoesOnWhereItWasBegun: a request that failed, was taken over by hand and is given back to the line goes on in its backend, also
// when new ones are made elsewhere by then.
func TestGivenBackGoesOnWhereItWasBegun(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		ada := r.Operator("ada", hub.Admin)
		cure := ailing(r, trouble(hub.ClassData, ""))
		q := r.Join("back@example.com", "starter").Request
		r.Work()
		begun := tenantOf(r, r.Row(q.ID).TenantID)
		cure()
		r = r.With(func(d *hub.Deps) {
			d.Providers, d.Default = map[string]hub.Provider{"sqlite": r.Files, "other": nowhere{r.Files}}, "other"
		})
		_, err := r.Claim(t.Context(), ada, q.ID)
		fine(t, err)
		_, err = r.Release(t.Context(), ada, q.ID)
		fine(t, err)
		r.Work()
		wantReady(t, r, q.ID)
		equal(t, "backend", tenantOf(r, r.Row(q.ID).TenantID).Backend, begun.Backend)
	})
}

// nowhere is a provider of another name.
type nowhere struct{ hub.Provider }

func (nowhere) Name() string { return "other" }

// TestABlinkFailsNoRequest: an outage of the hub's own database that is over by the next write is no failure of the request's, whichever write
// met it.
func TestABlinkFailsNoRequest(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		elsewhere, err := sqlitefile.New(sqlitefile.Config{Dir: t.TempDir()})
		fine(t, err)
		ada := r.Operator("ada", hub.Admin)
		for k := 1; k <= 4; k++ { // the lease, the place, the end, and what a slow step shows
			other := r.Another(fmt.Sprintf("ins_%d", k), "home_other").With(func(d *hub.Deps) { d.Providers = map[string]hub.Provider{"sqlite": elsewhere} })
			fine(t, other.Beat(t.Context()))
			q := r.Join(fmt.Sprintf("c%d@example.com", k), "enterprise").Request
			_, err := r.Claim(t.Context(), ada, q.ID)
			fine(t, err)
			_, _, err = r.GiveCredentials(t.Context(), ada, q.ID, hub.Offer{Provider: "sqlite"}) // planned here, made there: one write more
			fine(t, err)
			other.Store.BlinkAt(k)
			err = other.Provision(t.Context(), q.ID)
			if err != nil {
				wantCode(t, err, hub.CodeUnavailable)
				fine(t, other.Provision(t.Context(), q.ID)) // the job is tried again
			}
			wantReady(t, other, q.ID)
			if slices.Contains(r.Log(q.ID), "request.fail") {
				t.Errorf("write %d: the request failed", k)
			}
		}
	})
}
