package hub_test

import (
	"context"
	"flag"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/hub/hubtest"
	"github.com/kitshub/kitshub/internal/testkit"
)

// TestMain runs more tests side by side than there are processors: they wait for servers, disks and clocks more than they compute.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil { // what the command line says comes later and stands
		panic(err)
	}
	testkit.Main(m)
}

func equal(t testing.TB, what string, got, want any, opts ...cmp.Option) {
	t.Helper()
	if d := cmp.Diff(want, got, opts...); d != "" {
		t.Fatalf("%s (-want +got):\n%s", what, d)
	}
}

func fine(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, code hub.Code) {
	t.Helper()
	if !hub.IsCode(err, code) {
		t.Fatalf("got %v (%s), want %s", err, hub.CodeOf(err), code)
	}
}

func ref[T any](v T) *T { return &v }

// place puts a request into a state as the use cases would have left it, with a tenant if it is that far.
func place(r *hubtest.Rig, state hub.State, withTenant bool, assignee string) *hub.Request {
	r.T.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	c := &hub.Customer{ID: hub.NewID("cus_", now), CompanyName: "Company", ContactName: "Jo", CreatedAt: now}
	c.Email = c.ID + "@example.com"
	q := &hub.Request{
		ID: hub.NewID("req_", now), CustomerID: c.ID, Plan: "enterprise", Features: []string{"core"}, Priority: 1, Way: hub.ByOperator, State: state,
		EnqueuedAt: now.Add(-time.Hour), UpdatedAt: now, BillingCycle: "monthly",
	}
	if state != hub.Pending {
		q.AssignedTo, q.ClaimedAt = assignee, &now
	}
	if state.Final() || state == hub.Failed {
		q.FinishedAt = &now
	}
	if state == hub.Failed {
		q.Failure = &hub.Failure{Step: "inventory/0001", Class: hub.ClassCatalog, Cause: "x"}
	}
	r.Put(func(ctx context.Context, tx hub.Tx) error {
		if err := tx.InsertCustomer(ctx, c); err != nil {
			return err
		}
		if withTenant {
			q.TenantID = hub.NewID("ten_", now)
		}
		if err := tx.InsertRequest(ctx, q); err != nil || !withTenant {
			return err
		}
		b, _, err := r.Files.Plan(ctx, q.TenantID, 1)
		if err != nil {
			return err
		}
		n := &hub.Tenant{ID: q.TenantID, RequestID: q.ID, CustomerID: c.ID, State: hub.TenantProvisioning, Backend: b, Sealed: []byte("x"), CreatedAt: now}
		if state == hub.Failed {
			n.State = hub.TenantError
		}
		return tx.InsertTenant(ctx, n)
	})
	return r.Row(q.ID)
}

func tenantOf(r *hubtest.Rig, id string) *hub.Tenant {
	r.T.Helper()
	return hubtest.Get(r, func(ctx context.Context, tx hub.Tx) (*hub.Tenant, error) { return tx.Tenant(ctx, id) })
}

func stepsOf(r *hubtest.Rig, id string) []hub.StepRecord {
	r.T.Helper()
	return hubtest.Get(r, func(ctx context.Context, tx hub.Tx) ([]hub.StepRecord, error) { return tx.Steps(ctx, id) })
}

// lastEntry gives the newest audit entry of a target.
func lastEntry(r *hubtest.Rig, target string) *hub.AuditEntry {
	r.T.Helper()
	l := hubtest.Get(r, func(ctx context.Context, tx hub.Tx) ([]*hub.AuditEntry, error) {
		return tx.ListAudit(ctx, target, "", 1)
	})
	if len(l) == 0 {
		r.T.Fatalf("nothing about %s in the audit log", target)
	}
	return l[0]
}

func has[T comparable](t testing.TB, what string, list []T, want T) {
	t.Helper()
	if !slices.Contains(list, want) {
		t.Fatalf("%s: %v has no %v", what, list, want)
	}
}
