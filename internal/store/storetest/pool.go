package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

func newMember(set ...func(*hub.Member)) *hub.Member {
	id := id(hub.MemberPrefix)
	m := &hub.Member{
		ID: id, Plan: "basic", Key: "k1", CatalogVersion: "v1", State: hub.MemberPreparing,
		Backend: hub.Backend{TenantID: id, Generation: 1, Provider: "postgres", Place: "main/" + id},
		Sealed:  []byte{0, 1, 2, 0xff}, SecretVersion: 1, Worker: "ins_1", Fence: 1, PolicyAt: base, CreatedAt: base,
	}
	for _, f := range set {
		f(m)
	}
	return m
}

func slot(n int) func(*hub.Member) { return func(m *hub.Member) { m.Slot = n } }

func ready(at time.Time) func(*hub.Member) {
	return func(m *hub.Member) { m.State, m.ReadyAt, m.Worker = hub.MemberReady, &at, "" }
}

func insertMember(t *testing.T, s hub.Store, m *hub.Member) (ok bool) {
	t.Helper()
	write(t, s, func(ctx context.Context, tx hub.Tx) (err error) { ok, err = tx.InsertMember(ctx, m); return err })
	return ok
}

func addMember(t *testing.T, s hub.Store, set ...func(*hub.Member)) *hub.Member {
	t.Helper()
	m := newMember(set...)
	if !insertMember(t, s, m) {
		t.Fatalf("slot %d of plan %s is taken", m.Slot, m.Plan)
	}
	return m
}

func memberRoundTrip(t *testing.T, s hub.Store) {
	m := addMember(t, s)
	other := addMember(t, s, slot(1))
	for _, change := range []func(){
		func() {},
		func() {
			m.Key, m.CatalogVersion, m.State, m.Worker, m.Fence = "k2", "v2", hub.MemberReady, "", 2
			m.PolicyAt = at(time.Minute)
			m.ReadyAt, m.Failure = ref(at(time.Microsecond)), &hub.Failure{Step: "probe", Class: hub.ClassNetwork, Cause: "away"}
		},
		func() { m.State, m.ReadyAt, m.Failure = hub.MemberDiscarding, nil, nil },
	} {
		change()
		write(t, s, func(ctx context.Context, tx hub.Tx) error {
			if err := tx.UpdateMember(ctx, m); err != nil {
				return err
			}
			locked, err := tx.LockMember(ctx, m.ID)
			equal(t, "LockMember", locked, m)
			return err
		})
		equal(t, "Member", get(t, s, func(ctx context.Context, tx hub.Tx) (*hub.Member, error) { return tx.Member(ctx, m.ID) }), m)
		equal(t, "ListMembers", get(t, s, func(ctx context.Context, tx hub.Tx) ([]*hub.Member, error) { return tx.ListMembers(ctx) }), []*hub.Member{m, other})
	}
	write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.DeleteMember(ctx, m.ID) })
	ctx := ctxOf(t)
	for name, fn := range map[string]func(hub.Tx) error{
		"update": func(tx hub.Tx) error { return tx.UpdateMember(ctx, m) },
		"delete": func(tx hub.Tx) error { return tx.DeleteMember(ctx, m.ID) },
	} {
		if err := s.Write(ctx, fn); !errors.Is(err, hub.ErrConflict) {
			t.Errorf("%s of a row that is gone gave %v", name, err)
		}
	}
	wantCode(t, s.Read(ctx, func(tx hub.Tx) error { _, err := tx.Member(ctx, m.ID); return err }), hub.CodeNotFound)
	wantCode(t, s.Write(ctx, func(tx hub.Tx) error { _, err := tx.LockMember(ctx, m.ID); return err }), hub.CodeNotFound)
}

// memberSlots: a slot has one member, but for those that are on their way out, and a place has one member at all.
func memberSlots(t *testing.T, s hub.Store) {
	first := addMember(t, s)
	for name, c := range map[string]struct {
		m    *hub.Member
		want bool
	}{
		"the same slot":    {newMember(), false},
		"another slot":     {newMember(slot(1)), true},
		"another plan":     {newMember(func(m *hub.Member) { m.Plan = "starter" }), true},
		"another provider": {newMember(func(m *hub.Member) { m.Backend.Provider = "other" }), true},
	} {
		equal(t, name, insertMember(t, s, c.m), c.want)
	}
	first.State = hub.MemberDiscarding
	write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.UpdateMember(ctx, first) })
	equal(t, "the slot of one that goes", insertMember(t, s, newMember()), true)
	ctx := ctxOf(t)
	for name, m := range map[string]*hub.Member{
		"same place":  newMember(slot(7), func(m *hub.Member) { m.Backend.Place = first.Backend.Place }),
		"a bad state": newMember(slot(8), func(m *hub.Member) { m.State = "lost" }),
	} {
		if err := s.Write(ctx, func(tx hub.Tx) error { _, err := tx.InsertMember(ctx, m); return err }); err == nil {
			t.Errorf("%s: kept", name)
		}
	}
}

// memberSlotContested: of many hubs that fill one slot at once, one does.
func memberSlotContested(t *testing.T, s hub.Store) {
	const hubs = 8
	won := make([]bool, hubs)
	ctx := ctxOf(t)
	allFine(t, together(hubs, func(i int) error {
		m := newMember()
		return s.Write(ctx, func(tx hub.Tx) (err error) { won[i], err = tx.InsertMember(ctx, m); return err })
	}))
	n := 0
	for _, w := range won {
		if w {
			n++
		}
	}
	equal(t, "members in one slot", n, 1)
	equal(t, "rows", len(get(t, s, func(ctx context.Context, tx hub.Tx) ([]*hub.Member, error) { return tx.ListMembers(ctx) })), 1)
}

// readyMembers: the oldest one of the wanted content in the parts that were named, and nothing else.
func readyMembers(t *testing.T, s hub.Store) {
	addMember(t, s, slot(0))
	addMember(t, s, slot(1), ready(at(1)), func(m *hub.Member) { m.Key = "k2" })
	addMember(t, s, slot(2), ready(at(1)), func(m *hub.Member) { m.CatalogVersion = "v2" })
	addMember(t, s, slot(3), ready(at(1)), func(m *hub.Member) { m.State = hub.MemberDiscarding })
	addMember(t, s, slot(4), ready(at(1)), func(m *hub.Member) { m.Backend.Provider = "other" })
	for i, part := range []string{"mainly/", "mx2/"} {
		addMember(t, s, slot(7+i), ready(at(1)), func(m *hub.Member) { m.Backend.Place = part + m.ID })
	}
	second := addMember(t, s, slot(5), ready(at(time.Hour)), func(m *hub.Member) { m.Backend.Place = "m_2/" + m.ID })
	first := addMember(t, s, slot(6), ready(at(time.Minute)), func(m *hub.Member) { m.Plan = "starter" })
	for _, want := range []*hub.Member{first, second, nil} {
		write(t, s, func(ctx context.Context, tx hub.Tx) error {
			m, found, err := tx.LockReadyMember(ctx, "postgres", []string{"main/", "m_2/"}, "k1", "v1")
			if err != nil {
				return err
			}
			equal(t, "found", found, want != nil)
			if !found {
				return nil
			}
			equal(t, "the oldest", m, want)
			return tx.DeleteMember(ctx, m.ID)
		})
	}
	equal(t, "counts", get(t, s, func(ctx context.Context, tx hub.Tx) ([]hub.PoolDepth, error) { return tx.CountMembers(ctx) }),
		[]hub.PoolDepth{{Plan: "basic", Ready: 5, Preparing: 1}})
}

// readyMembersContested: many at once, and each gets a member of its own or none.
func readyMembersContested(t *testing.T, s hub.Store) {
	const members, takers = 5, 9
	for i := range members {
		addMember(t, s, slot(i), ready(base))
	}
	taken := make([]string, takers)
	ctx := ctxOf(t)
	allFine(t, together(takers, func(i int) error {
		for taken[i] == "" { // one that was passed over because somebody else held the row, who then failed, would be found the next time
			over := false
			err := s.Write(ctx, func(tx hub.Tx) error {
				m, found, err := tx.LockReadyMember(ctx, "postgres", []string{"main/", "m_2/"}, "k1", "v1")
				if err != nil {
					return err
				}
				if !found {
					left, err := tx.CountMembers(ctx)
					over = len(left) == 0
					return err
				}
				taken[i] = m.ID
				return tx.DeleteMember(ctx, m.ID)
			})
			if err != nil || over {
				return err
			}
		}
		return nil
	}))
	seen := map[string]bool{}
	for _, id := range taken {
		if id != "" && seen[id] {
			t.Errorf("member %s was taken twice", id)
		}
		seen[id] = id != ""
	}
	delete(seen, "")
	equal(t, "taken", len(seen), members)
}

// featureSets: what somebody is waiting for, is being made, or ended lately; each once.
func featureSets(t *testing.T, s hub.Store) {
	set := func(state hub.State, finished *time.Time, features ...string) {
		add(t, s, func(r *hub.Request) { r.State, r.Features, r.FinishedAt = state, features, finished })
	}
	set(hub.Pending, nil, "core")
	set(hub.Pending, nil, "core")
	set(hub.Migrating, nil, "core", "crm")
	set(hub.Completed, ref(at(time.Hour)), "core", "hr")
	set(hub.Completed, ref(at(-time.Hour)), "core", "long ago")
	sets := get(t, s, func(ctx context.Context, tx hub.Tx) ([][]string, error) { return tx.FeatureSetsSince(ctx, base) })
	slices.SortFunc(sets, slices.Compare[[]string])
	equal(t, "sets", sets, [][]string{{"core"}, {"core", "crm"}, {"core", "hr"}})
}
