package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/hub/hubtest"
	"github.com/kitshub/kitshub/internal/provider/pgcluster"
)

// pooled runs a test on both engines of the hub, with tenants on Postgres and a pool of this size for each plan.
func pooled(t *testing.T, size int, test func(*testing.T, *hubtest.Rig)) {
	t.Helper()
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		r = r.Pooled(hubtest.NewCluster(t), size)
		fine(t, r.Beat(t.Context()))
		test(t, r)
	})
}

// only leaves one plan in the catalog, for what is the same with each.
func only(plan string) func(*hub.Deps) {
	return func(d *hub.Deps) {
		d.Catalogs = hubtest.NewCatalogs(func(c *hub.Catalog) {
			c.Plans = slices.DeleteFunc(c.Plans, func(p hub.Plan) bool { return p.ID != plan })
		})
	}
}

// wantPool: every plan has so many members, each ready, current and with a database that is marked as its own; and the cluster has no
// database of a member beside them.
func wantPool(t *testing.T, r *hubtest.Rig, size int) {
	t.Helper()
	on, rows, seen := r.Databases(), r.Members(), map[string]bool{}
	for _, m := range rows {
		p, _ := r.Catalog().Plan(m.Plan)
		steps, err := hub.PlanSteps(r.Catalog(), p.Features, hub.Postgres)
		fine(t, err)
		if m.State != hub.MemberReady || m.ReadyAt == nil || m.Worker != "" || m.Failure != nil || m.CatalogVersion != r.Catalog().Version ||
			m.Key != hub.ContentKey(hub.Postgres, steps) || m.Slot >= size {
			t.Errorf("member %+v", m)
		}
		equal(t, "owner of the database at "+m.Backend.Place, on[m.Backend.Place], m.ID)
		delete(on, m.Backend.Place)
		seen[fmt.Sprint(m.Plan, m.Slot)] = true
	}
	equal(t, "slots filled", len(seen), size*len(r.Catalog().Plans))
	equal(t, "members", len(rows), len(seen))
	for place, whose := range on {
		if len(whose) > 4 && whose[:4] == hub.MemberPrefix {
			t.Errorf("the database at %s is marked as the member %s, of which there is no row", place, whose)
		}
	}
}

// wantOwn checks that the tenant has a database that says so, in marker and seal, and that the customer's own login reaches.
func wantOwn(t *testing.T, r *hubtest.Rig, tenantID string) *hub.Tenant {
	t.Helper()
	n := tenantOf(r, tenantID)
	equal(t, "member after completion", n.Member, "")
	equal(t, "marker at "+n.Backend.Place, r.Databases()[n.Backend.Place], tenantID)
	db := r.As(tenantID, hub.RoleTenant)
	id, found, err := r.TenantDB.ReadIdentity(t.Context(), db, hub.Postgres)
	fine(t, errors.Join(err, db.Close()))
	if !found || id.TenantID != tenantID || id.CatalogVersion != n.CatalogVersion {
		t.Errorf("the seal says %+v", id)
	}
	equal(t, "KITSHUB_TENANT", r.Credentials(tenantID).Env["KITSHUB_TENANT"], tenantID)
	return n
}

func memberAt(rows []*hub.Member, place string) string {
	for _, m := range rows {
		if m.Backend.Place == place {
			return m.ID
		}
	}
	return ""
}

// TestPool: it is filled once, a customer is given a member and nobody sees a difference, and it is filled again.
func TestPool(t *testing.T) {
	pooled(t, 2, func(t *testing.T, r *hubtest.Rig) {
		fine(t, r.FillPool(t.Context()))
		wantPool(t, r, 2)
		before := r.Members()
		fine(t, r.FillPool(t.Context()))
		equal(t, "members after a second look", r.Members(), before)

		q := r.Join("a@example.com", "pro").Request
		r.Work()
		wantReady(t, r, q.ID)
		n := wantOwn(t, r, r.Row(q.ID).TenantID)
		if memberAt(before, n.Backend.Place) == "" {
			t.Errorf("the database at %s came from elsewhere", n.Backend.Place)
		}
		equal(t, "hits, misses, failures", r.Meter.Pool(), [3]int{1, 0, 0})

		o := r.Operator("Ann", hub.Provisioner) // the other way to the same pool
		e := r.Join("b@example.com", "enterprise").Request
		_, err := r.Claim(t.Context(), o, e.ID)
		fine(t, err)
		_, _, err = r.GiveCredentials(t.Context(), o, e.ID, hub.Offer{Provider: "postgres"})
		fine(t, err)
		r.Work()
		wantReady(t, r, e.ID)
		if memberAt(before, wantOwn(t, r, r.Row(e.ID).TenantID).Backend.Place) == "" {
			t.Error("an operator's request did not come out of the pool")
		}

		depths, err := r.PoolDepths(t.Context())
		fine(t, err)
		equal(t, "depths", depths, []hub.PoolDepth{{Plan: "enterprise", Ready: 1}, {Plan: "pro", Ready: 1}, {Plan: "starter", Ready: 2}})
		fine(t, r.FillPool(t.Context()))
		wantPool(t, r, 2)
	})
}

// TestPoolIsEmpty: without a member of the content that is asked for, the template is used, and the customer sees no difference.
func TestPoolIsEmpty(t *testing.T) {
	pooled(t, 1, func(t *testing.T, r *hubtest.Rig) {
		r = r.With(only("pro"))
		q := r.Join("a@example.com", "pro").Request
		r.Work()
		wantReady(t, r, q.ID)
		wantOwn(t, r, r.Row(q.ID).TenantID)
		fine(t, r.FillPool(t.Context()))
		s, err := r.SignUp(t.Context(), hub.SignUp{Email: "b@example.com", CompanyName: "B", ContactName: "B", Plan: "pro", Features: []string{"sales"}})
		fine(t, err)
		r.Work()
		wantReady(t, r, s.Request.ID)
		wantOwn(t, r, r.Row(s.Request.ID).TenantID)
		equal(t, "hits, misses, failures", r.Meter.Pool(), [3]int{0, 2, 0})
		wantPool(t, r, 1)
	})
}

// TestPoolOfManyHubs: hubs that fill at once make no more than there are slots, and customers at once are given no database twice.
func TestPoolOfManyHubs(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		c := hubtest.NewCluster(t)
		r = r.With(only("starter"))
		hubs := []*hubtest.Rig{r.Pooled(c, 3), r.Another("ins_2", "home 2").Pooled(c, 3)}
		together := func(f func(i int, r *hubtest.Rig) error) {
			t.Helper()
			var wg sync.WaitGroup
			errs := make([]error, len(hubs))
			for i, h := range hubs {
				wg.Go(func() { errs[i] = f(i, h) })
			}
			wg.Wait()
			fine(t, errors.Join(errs...))
		}
		for _, h := range hubs {
			fine(t, h.Beat(t.Context()))
		}
		together(func(_ int, h *hubtest.Rig) error { return h.FillPool(t.Context()) })
		wantPool(t, hubs[0], 3)
		var ids []string
		for i := range 8 { // more than there are members
			ids = append(ids, r.Join(fmt.Sprintf("c%d@example.com", i), "starter").Request.ID)
		}
		r.Jobs.Take()
		together(func(_ int, h *hubtest.Rig) error { // both try each of them, and fill meanwhile
			errs := []error{h.FillPool(t.Context())}
			for _, id := range ids {
				errs = append(errs, h.Provision(t.Context(), id))
			}
			return errors.Join(errs...)
		})
		places := map[string]string{}
		for _, id := range ids {
			wantReady(t, hubs[0], id)
			n := wantOwn(t, hubs[0], r.Row(id).TenantID)
			if other := places[n.Backend.Place]; other != "" {
				t.Errorf("%s and %s share %s", other, n.ID, n.Backend.Place)
			}
			places[n.Backend.Place] = n.ID
		}
		together(func(_ int, h *hubtest.Rig) error { return h.FillPool(t.Context()) })
		wantPool(t, hubs[0], 3)
	})
}

// TestPoolFollowsTheCatalog: a member of another catalog is never handed out; it is brought to the new one or replaced.
func TestPoolFollowsTheCatalog(t *testing.T) {
	pooled(t, 1, func(t *testing.T, r *hubtest.Rig) {
		fine(t, r.FillPool(t.Context()))
		before := r.Members()
		r.Catalogs.Edit(func(c *hub.Catalog) {
			c.Version = "00000000000000v2"
			hr := hubtest.Feature(c, "hr") // only enterprise has it
			hr.Migrations = append(hr.Migrations, hubtest.Script("hr", "0003", "ALTER TABLE hr_things ADD COLUMN more TEXT;\nINSERT INTO effects (step) VALUES ('hr/0003');"))
		})
		fine(t, r.Catalogs.Reload(t.Context()))
		q := r.Join("a@example.com", "starter").Request // equal content, but nobody has checked it under this catalog
		r.Work()
		if n := tenantOf(r, r.Row(q.ID).TenantID); memberAt(before, n.Backend.Place) != "" {
			t.Errorf("a member of the old catalog was handed out: %+v", n)
		}
		equal(t, "hits, misses, failures", r.Meter.Pool(), [3]int{0, 1, 0})

		fine(t, r.FillPool(t.Context()))
		wantPool(t, r, 1)
		for _, m := range r.Members() {
			kept := memberAt(before, m.Backend.Place) != ""
			equal(t, m.Plan+" kept its database", kept, m.Plan != "enterprise")
			c := slices.DeleteFunc(r.Members(), func(x *hub.Member) bool { return x.ID != m.ID })
			equal(t, "version", c[0].CatalogVersion, "00000000000000v2")
		}
		q = r.Join("b@example.com", "starter").Request
		r.Work()
		wantReady(t, r, q.ID)
		wantOwn(t, r, r.Row(q.ID).TenantID)
		equal(t, "hits, misses, failures", r.Meter.Pool(), [3]int{1, 1, 0})

		templates := 0
		for _, kind := range r.Databases() {
			if kind == "template" {
				templates++
			}
		}
		equal(t, "templates, one a plan", templates, 3)
	})
}

// TestPoolOfTwoCatalogs: while two hubs run with different catalogs, the one that came later fills the pool and the other leaves it alone.
func TestPoolOfTwoCatalogs(t *testing.T) {
	pooled(t, 1, func(t *testing.T, r *hubtest.Rig) {
		r = r.With(only("starter"))
		fine(t, r.FillPool(t.Context()))
		files := hubtest.NewCatalogs(func(c *hub.Catalog) { c.Version, c.Plans = "00000000000000v2", c.Plans[:1] })
		later := r.Another("ins_2", "home 2").With(func(d *hub.Deps) { d.Catalogs = files })
		fine(t, later.Beat(t.Context()))
		fine(t, later.FillPool(t.Context()))
		after := r.Members()
		for _, m := range after {
			equal(t, "version", m.CatalogVersion, "00000000000000v2")
		}
		fine(t, r.FillPool(t.Context()))
		equal(t, "after a look of the first hub", r.Members(), after)
	})
}

// TestPoolIsDrained: with size 0 nothing is left of it.
func TestPoolIsDrained(t *testing.T) {
	pooled(t, 2, func(t *testing.T, r *hubtest.Rig) {
		r = r.With(only("starter"))
		fine(t, r.FillPool(t.Context()))
		smaller := r.With(func(d *hub.Deps) { d.PoolSize = 1 })
		fine(t, smaller.FillPool(t.Context()))
		wantPool(t, r, 1)
		none := r.With(func(d *hub.Deps) { d.PoolSize = 0 })
		fine(t, none.FillPool(t.Context()))
		wantPool(t, r, 0)
		q := none.Join("a@example.com", "starter").Request
		none.Work()
		wantReady(t, r, q.ID)
		equal(t, "hits, misses, failures: a pool that is off misses nothing", r.Meter.Pool(), [3]int{0, 0, 0})
	})
}

// onePlan is a catalog with little in it, so that there are few places to die at.
func onePlan(version string) func(*hub.Deps) {
	return func(d *hub.Deps) {
		d.Catalogs = hubtest.NewCatalogs(func(c *hub.Catalog) { c.Version, c.Plans, c.Plans[0].Features = version, c.Plans[:1], nil })
	}
}

// TestPoolFillCrash: wherever a hub dies that fills the pool, the next one ends with a whole pool and nothing beside it.
func TestPoolFillCrash(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]struct {
		size    int
		version string
	}{
		"an empty pool":                 {0, "00000000000000v1"},
		"one that is too large and old": {2, "00000000000000v0"}, // one to bring to the catalog in force, one to remove
	} {
		t.Run(name, func(t *testing.T) {
			pooled(t, 1, func(t *testing.T, r *hubtest.Rig) {
				n := 0
				eachDeath(t, r.With(onePlan("00000000000000v1")), func(t *testing.T, dying *hubtest.Rig, arm func()) bool {
					n++
					old := r.With(onePlan(before.version)).With(func(d *hub.Deps) { d.PoolSize = before.size })
					fine(t, old.FillPool(t.Context()))
					wantPool(t, old, before.size)
					fine(t, dying.Beat(t.Context()))
					arm()
					err := dying.FillPool(t.Context())
					r.TenantDB.Before(nil)
					if !dying.Store.Died() {
						fine(t, err)
						return false
					}
					wantCode(t, err, hub.CodeUnavailable)
					heir := dying.Another(fmt.Sprintf("ins_%d_heir", n), "home")
					fine(t, heir.Beat(t.Context()))
					fine(t, heir.Reap(t.Context()))
					fine(t, heir.FillPool(t.Context()))
					wantPool(t, heir, 1)
					return true
				})
			})
		})
	}
}

// TestPoolHandOverCrash: wherever a hub dies while it hands over a member, no database is given twice and none is lost.
func TestPoolHandOverCrash(t *testing.T) {
	pooled(t, 1, func(t *testing.T, r *hubtest.Rig) {
		r = r.With(onePlan("00000000000000v1"))
		n, places := 0, map[string]string{}
		eachDeath(t, r, func(t *testing.T, dying *hubtest.Rig, arm func()) bool {
			n++
			fine(t, r.FillPool(t.Context()))
			was := r.Members()
			q := r.Join(fmt.Sprintf("c%d@example.com", n), "starter").Request
			r.Jobs.Take()
			fine(t, dying.Beat(t.Context()))
			arm()
			err := dying.Provision(t.Context(), q.ID)
			r.TenantDB.Before(nil)
			died := dying.Store.Died()
			if !died {
				fine(t, err)
			} else {
				heir := r.Another(fmt.Sprintf("ins_%d_heir", n), "home")
				fine(t, heir.Beat(t.Context()))
				fine(t, heir.Reap(t.Context()))
				fine(t, heir.Provision(t.Context(), q.ID)) // its job is tried again, where nothing had been claimed
				heir.Work()
			}
			wantReady(t, r, q.ID)
			x := wantOwn(t, r, r.Row(q.ID).TenantID)
			equal(t, "place", x.Backend.Place, was[0].Backend.Place)
			if other := places[x.Backend.Place]; other != "" {
				t.Errorf("%s and %s share %s", other, x.ID, x.Backend.Place)
			}
			places[x.Backend.Place] = x.ID
			fine(t, r.FillPool(t.Context()))
			wantPool(t, r, 1)
			return died
		})
	})
}

// TestPoolCancel: a request that was given a member and is cancelled before, or after, it was handed over: that database goes, and no other.
func TestPoolCancel(t *testing.T) {
	pooled(t, 1, func(t *testing.T, r *hubtest.Rig) {
		r = r.With(only("enterprise"))
		o := r.Operator("Ann", hub.Admin)
		for i, breaks := range []string{"", "identity", "probe"} {
			fine(t, r.FillPool(t.Context()))
			q := r.Join(fmt.Sprintf("c%d@example.com", i), "enterprise").Request
			_, err := r.Claim(t.Context(), o, q.ID)
			fine(t, err)
			_, _, err = r.GiveCredentials(t.Context(), o, q.ID, hub.Offer{Provider: "postgres"})
			fine(t, err)
			n := tenantOf(r, r.Row(q.ID).TenantID)
			if n.Member == "" {
				t.Fatalf("no member was taken: %+v", n)
			}
			equal(t, "marker before the hand-over", r.Databases()[n.Backend.Place], n.Member)
			if breaks != "" {
				r.TenantDB.Before(func(_ context.Context, step string) error {
					if step == breaks {
						return &hub.StepError{Class: hub.ClassCatalog, Err: errors.New("broken")}
					}
					return nil
				})
				r.Work()
				r.TenantDB.Before(nil)
				equal(t, "state", r.Row(q.ID).State, hub.Failed)
			}
			_, err = r.Cancel(t.Context(), o, q.ID)
			fine(t, err)
			r.Work()
			equal(t, "tenant", tenantOf(r, n.ID).State, hub.TenantPurged)
			if whose, there := r.Databases()[n.Backend.Place]; there {
				t.Errorf("the database is still there, %s's", whose)
			}
			fine(t, r.FillPool(t.Context()))
			wantPool(t, r, 1)
		}
	})
}

// TestPoolSealIsNoPassport: a database with a member's seal is the tenant's only if its row names that member.
func TestPoolSealIsNoPassport(t *testing.T) {
	pooled(t, 1, func(t *testing.T, r *hubtest.Rig) {
		r = r.With(only("enterprise"))
		o := r.Operator("Ann", hub.Admin)
		fine(t, r.FillPool(t.Context()))
		q := r.Join("a@example.com", "enterprise").Request
		_, err := r.Claim(t.Context(), o, q.ID)
		fine(t, err)
		_, _, err = r.GiveCredentials(t.Context(), o, q.ID, hub.Offer{Provider: "postgres"})
		fine(t, err)
		for _, member := range []string{"", "mem_other"} {
			r.Put(func(ctx context.Context, tx hub.Tx) error {
				n, err := tx.LockTenant(ctx, r.Row(q.ID).TenantID)
				if err != nil {
					return err
				}
				n.Member = member
				return tx.UpdateTenant(ctx, n)
			})
			fine(t, r.Provision(t.Context(), q.ID))
			row := r.Row(q.ID)
			if row.State != hub.Failed || row.Failure.Code != "IDENTITY_MISMATCH" {
				t.Fatalf("with member %q: %s, %+v", member, row.State, row.Failure)
			}
			_, err := r.Retry(t.Context(), o, q.ID)
			fine(t, err)
		}
	})
}

// TestPoolFailure: a member that fails is written down with its reason, counted, and tried again; the customer is served without it.
func TestPoolFailure(t *testing.T) {
	pooled(t, 1, func(t *testing.T, r *hubtest.Rig) {
		r = r.With(only("starter"))
		broken := errors.New("nobody there")
		r.TenantDB.Before(func(_ context.Context, step string) error {
			if step == "probe" {
				return &hub.StepError{Class: hub.ClassNetwork, Code: "08006", Err: broken}
			}
			return nil
		})
		if err := r.FillPool(t.Context()); !errors.Is(err, broken) {
			t.Fatalf("got %v", err)
		}
		r.TenantDB.Before(nil)
		rows := r.Members()
		for _, m := range rows {
			if m.State != hub.MemberPreparing || m.Worker != "" || m.Failure == nil || m.Failure.Step != "probe" || m.Failure.Class != hub.ClassNetwork || m.Failure.Code != "08006" {
				t.Errorf("member %+v, %+v", m, m.Failure)
			}
		}
		equal(t, "hits, misses, failures", r.Meter.Pool(), [3]int{0, 0, len(rows)})
		q := r.Join("a@example.com", "starter").Request
		r.Work()
		wantReady(t, r, q.ID)
		fine(t, r.FillPool(t.Context()))
		wantPool(t, r, 1)
		for _, m := range r.Members() {
			if memberAt(rows, m.Backend.Place) != m.ID {
				t.Errorf("member %s was begun anew", m.ID)
			}
		}
	})
}

// TestPoolOutage: the hub's database goes away at any write and comes back; the same process ends with a whole pool.
func TestPoolOutage(t *testing.T) {
	pooled(t, 1, func(t *testing.T, r *hubtest.Rig) {
		r = r.With(onePlan("00000000000000v1"))
		eachWrite(t, func(t *testing.T, k int, after bool) bool {
			fine(t, r.With(func(d *hub.Deps) { d.PoolSize = 0 }).FillPool(t.Context()))
			r := r.With(func(*hub.Deps) {}) // comes later than the one that emptied it
			r.Store.DieAt(k, after)
			err := r.FillPool(t.Context())
			died := r.Store.Died()
			r.Store.Revive()
			if !died {
				fine(t, err)
				return false
			}
			wantCode(t, err, hub.CodeUnavailable)
			fine(t, r.FillPool(t.Context()))
			wantPool(t, r, 1)
			return true
		})
	})
}

// TestPoolOnSeveralClusters: what is on a cluster that keeps the hub out, or that is not set up any more, is given to nobody; the customer is
// served from the others. A cluster that is away keeps its members, one that is not set up gives its slots to the others.
func TestPoolOnSeveralClusters(t *testing.T) {
	t.Parallel()
	r := hubtest.New(t, hubtest.SQLite(t))
	fine(t, r.Beat(t.Context()))
	east, west := hubtest.NewCluster(t).Named("east"), hubtest.NewCluster(t).Named("west")
	on := func(all ...*pgcluster.Provider) *hubtest.Rig {
		c, err := pgcluster.NewClusters(all...)
		fine(t, err)
		return r.PooledBy(c, 2)
	}
	served := func(r *hubtest.Rig, email string) {
		t.Helper()
		q := r.Join(email, "starter").Request
		r.Work()
		wantReady(t, r, q.ID)
		if n := tenantOf(r, r.Row(q.ID).TenantID); !strings.HasPrefix(n.Backend.Place, "west/") {
			t.Errorf("made at %s", n.Backend.Place)
		}
	}
	fine(t, on(east.Open(t)).FillPool(t.Context()))
	before := r.Members()

	away := east.Away(t).Open(t)
	if away.Ping(t.Context()) == nil {
		t.Fatal("it is not away")
	}
	one := on(away, west.Open(t))
	served(one, "a@example.com")
	fine(t, one.FillPool(t.Context()))
	equal(t, "members while their cluster is away", r.Members(), before)

	gone := on(west.Open(t))
	served(gone, "b@example.com")
	for range len(before) { // each is told of once
		if err := gone.FillPool(t.Context()); err == nil {
			break
		}
	}
	fine(t, gone.FillPool(t.Context()))
	wantReadyAt := func(r *hubtest.Rig, rows int) {
		t.Helper()
		ready := 0
		for _, m := range r.Members() {
			if m.State == hub.MemberReady && strings.HasPrefix(m.Backend.Place, "west/") {
				ready++
			}
		}
		equal(t, "ready on the other cluster", ready, len(before))
		equal(t, "rows", len(r.Members()), rows)
	}
	wantReadyAt(gone, 2*len(before))

	both := on(east.Open(t), west.Open(t)) // set up again: what was given up goes
	fine(t, both.FillPool(t.Context()))
	wantReadyAt(both, len(before))
	wantPool(t, both, 2)
}
