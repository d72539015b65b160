package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

func newTenant(r *hub.Request) *hub.Tenant {
	id := id("ten_")
	return &hub.Tenant{
		ID: id, RequestID: r.ID, CustomerID: r.CustomerID, State: hub.TenantProvisioning, CatalogVersion: "v1",
		Backend: hub.Backend{TenantID: id, Generation: 1, Provider: "sqlite", Place: id + ".db"},
		Sealed:  []byte{0, 1, 2, 0xff}, SecretVersion: 1, CreatedAt: base, Customer: r.Customer, Plan: r.Plan,
	}
}

func addTenant(t *testing.T, s hub.Store) *hub.Tenant {
	t.Helper()
	n := newTenant(add(t, s))
	write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.InsertTenant(ctx, n) })
	return n
}

func tenantRoundTrip(t *testing.T, s hub.Store) {
	n := addTenant(t, s)
	equal(t, "version after insert", n.Version, int64(1))
	stale := *n
	for _, change := range []func(){
		func() {},
		func() {
			n.State, n.Backend.Generation, n.CatalogVersion = hub.TenantActive, 2, "v2"
			n.Sealed, n.SecretVersion, n.SizeBytes = []byte("other"), 2, 1<<40
			n.RevealedAt, n.ReadyAt, n.Member = ref(at(time.Microsecond)), ref(at(time.Hour)), "mem_1"
		},
		func() { n.RevealedAt, n.ReadyAt, n.Member = nil, nil, "" },
	} {
		change()
		write(t, s, func(ctx context.Context, tx hub.Tx) error {
			if err := tx.UpdateTenant(ctx, n); err != nil {
				return err
			}
			locked, err := tx.LockTenant(ctx, n.ID)
			equal(t, "LockTenant", locked, n)
			return err
		})
		equal(t, "Tenant", get(t, s, func(ctx context.Context, tx hub.Tx) (*hub.Tenant, error) { return tx.Tenant(ctx, n.ID) }), n)
	}
	equal(t, "version after three updates", n.Version, int64(4))
	ctx := ctxOf(t)
	if err := s.Write(ctx, func(tx hub.Tx) error { return tx.UpdateTenant(ctx, &stale) }); !errors.Is(err, hub.ErrConflict) {
		t.Fatalf("a stale write gave %v", err)
	}
}

// A place is one tenant's until that one gives it up.
func tenantPlaces(t *testing.T, s hub.Store) {
	n, second := addTenant(t, s), newTenant(add(t, s))
	second.Backend.Place = n.Backend.Place
	ctx := ctxOf(t)
	insert := func(tx hub.Tx) error { return tx.InsertTenant(ctx, second) }
	if err := s.Write(ctx, insert); !errors.Is(err, hub.ErrPlaceTaken) {
		t.Fatalf("a place that is taken gave %v", err)
	}
	n.State, n.Backend.Place = hub.TenantPurged, n.Backend.Place+"#"+n.ID
	write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.UpdateTenant(ctx, n) })
	equal(t, "purged", get(t, s, func(ctx context.Context, tx hub.Tx) (*hub.Tenant, error) { return tx.Tenant(ctx, n.ID) }), n)
	write(t, s, func(_ context.Context, tx hub.Tx) error { return insert(tx) })
}

func tenantList(t *testing.T, s hub.Store) {
	var all []*hub.Tenant
	for i := range 5 {
		n := addTenant(t, s)
		if i%2 == 1 {
			n.State = hub.TenantActive
			write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.UpdateTenant(ctx, n) })
		}
		all = append(all, n)
	}
	list := func(f hub.TenantFilter) []*hub.Tenant {
		return get(t, s, func(ctx context.Context, tx hub.Tx) ([]*hub.Tenant, error) { return tx.ListTenants(ctx, f) })
	}
	equal(t, "all", list(hub.TenantFilter{}), all)
	equal(t, "active", list(hub.TenantFilter{State: hub.TenantActive}), []*hub.Tenant{all[1], all[3]})
	equal(t, "first page", list(hub.TenantFilter{Limit: 2}), all[:2])
	equal(t, "second page", list(hub.TenantFilter{Limit: 2, After: all[1].ID}), all[2:4])
	equal(t, "last page", list(hub.TenantFilter{Limit: 2, After: all[3].ID}), all[4:])
	equal(t, "after the end", len(list(hub.TenantFilter{Limit: 2, After: all[4].ID})), 0)
	equal(t, "after what no row can hold", len(list(hub.TenantFilter{After: "\x00"})), 0)
}

// tenantIsUnique: a request has one tenant, and a place one owner.
func tenantIsUnique(t *testing.T, s hub.Store) {
	n := addTenant(t, s)
	for name, change := range map[string]func(*hub.Tenant){
		"same request": func(o *hub.Tenant) { o.RequestID, o.CustomerID = n.RequestID, n.CustomerID },
		"same place":   func(o *hub.Tenant) { o.Backend.Place = n.Backend.Place },
		"a bad state":  func(o *hub.Tenant) { o.State = "lost" },
	} {
		other := newTenant(add(t, s))
		change(other)
		ctx := ctxOf(t)
		if err := s.Write(ctx, func(tx hub.Tx) error { return tx.InsertTenant(ctx, other) }); err == nil {
			t.Errorf("%s: kept", name)
		}
	}
}
