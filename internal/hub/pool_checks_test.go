package hub_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/hub/hubtest"
)

// TestPoolChecks: the catalog's checks are run on the template and count for what is copied from it, and for nothing else.
func TestPoolChecks(t *testing.T) {
	pooled(t, 2, func(t *testing.T, r *hubtest.Rig) {
		r = r.With(only("starter"))
		lost := errors.New("the line is gone")
		var mu sync.Mutex
		checked, sealed := 0, 0
		r.TenantDB.Before(func(_ context.Context, step string) error {
			mu.Lock()
			defer mu.Unlock()
			switch step {
			case "inventory/check":
				checked++
			case "identity":
				if sealed++; sealed == 1 {
					return &hub.StepError{Class: hub.ClassNetwork, Err: lost}
				}
			}
			return nil
		})
		if err := r.FillPool(t.Context()); !errors.Is(err, lost) {
			t.Fatalf("got %v", err)
		}
		equal(t, "checks while the template was built and copied", checked, 1)
		fine(t, r.FillPool(t.Context()))
		wantPool(t, r, 2)
		equal(t, "checks after a member that was copied before was taken up", checked, 2)
		r.TenantDB.Before(nil)
	})
}

// TestPoolFailsACheck: that a check fails on the template too is said of the check, as on a database of its own.
func TestPoolFailsACheck(t *testing.T) {
	for name, check := range map[string]struct {
		sql, says string
		class     hub.Class
	}{
		"a row":            {"SELECT 'nothing to sell' AS fault;", "nothing to sell", hub.ClassData},
		"a right it lacks": {"SELECT rolpassword FROM pg_authid;", "permission denied", hub.ClassAuth},
	} {
		t.Run(name, func(t *testing.T) {
			pooled(t, 1, func(t *testing.T, r *hubtest.Rig) {
				r = r.With(func(d *hub.Deps) {
					d.Catalogs = hubtest.NewCatalogs(func(c *hub.Catalog) {
						c.Plans = slices.DeleteFunc(c.Plans, func(p hub.Plan) bool { return p.ID != "starter" })
						for i, f := range c.Features {
							if f.Name == "inventory" {
								c.Features[i].Checks = append(slices.Clone(f.Checks), hubtest.Script("inventory", "check2", check.sql))
							}
						}
					})
				})
				if err := r.FillPool(t.Context()); err == nil || !strings.Contains(err.Error(), check.says) {
					t.Fatalf("got %v", err)
				}
				rows := r.Members()
				equal(t, "members", len(rows), 1)
				for _, m := range rows {
					if f := m.Failure; m.State != hub.MemberPreparing || f == nil || f.Step != "inventory/check2" || f.Class != check.class || f.File != "features/inventory/check2.sql" {
						t.Errorf("member %+v, %+v", m, f)
					}
				}
				q := r.Join("a@example.com", "starter").Request
				r.Work()
				if f := r.Row(q.ID).Failure; f == nil || f.Step != "inventory/check2" || f.Class != check.class {
					t.Errorf("the customer's request: %+v", f)
				}
			})
		})
	}
}
