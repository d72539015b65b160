package hub

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestDuties: what is read off the rows, one line a case. A member is written plan/slot key version state, with * where somebody is at it, !
// where a hub with a later catalog made it, ~ on a cluster that keeps the hub out and ? on one that is not set up.
func TestDuties(t *testing.T) {
	now := time.Now()
	wants := map[string]want{"a": {plan: "a", key: "k", version: "v"}, "b": {plan: "b", key: "k", version: "v"}}
	member := func(plan string, slot int, key, version string, state MemberState, marks string) *Member {
		m := &Member{ID: fmt.Sprint(plan, slot, key, version, state), Plan: plan, Slot: slot, Key: key, CatalogVersion: version, State: state, PolicyAt: now.Add(-time.Hour)}
		if slices.Contains([]byte(marks), '*') {
			m.Worker = "somebody"
		}
		if slices.Contains([]byte(marks), '!') {
			m.PolicyAt = now.Add(time.Hour)
		}
		m.Backend.Place = "here/x"
		if slices.Contains([]byte(marks), '~') {
			m.Backend.Place = "away/x"
		}
		if slices.Contains([]byte(marks), '?') {
			m.Backend.Place = "gone/x"
		}
		return m
	}
	full := []*Member{member("a", 0, "k", "v", MemberReady, ""), member("b", 0, "k", "v", MemberReady, "")}
	for name, c := range map[string]struct {
		members []*Member
		size    int
		want    []string
	}{
		"nothing yet":         {nil, 2, []string{"make a0 low", "make b0 low", "make a1 low", "make b1 low"}},
		"all there":           {full, 1, nil},
		"one of two is ready": {full, 2, []string{"make a1", "make b1"}},
		"one of three":        {full, 3, []string{"make a1 low", "make b1 low", "make a2 low", "make b2 low"}},
		"switched off":        {full, 0, []string{"remove a0", "remove b0"}},
		"half made by the dead": {
			[]*Member{member("a", 0, "k", "v", MemberPreparing, ""), full[1]}, 1, []string{"finish a0 low"},
		},
		"somebody is at it": {[]*Member{member("a", 0, "k", "v", MemberPreparing, "*"), full[1]}, 1, nil},
		"other content":     {[]*Member{member("a", 0, "old", "u", MemberReady, ""), full[1]}, 1, []string{"remove a0 low"}},
		"other version":     {[]*Member{member("a", 0, "k", "u", MemberReady, ""), full[1]}, 1, []string{"finish a0 low"}},
		"a plan that is gone": {
			append(slices.Clone(full), member("gone", 0, "k", "v", MemberReady, "")), 1, []string{"remove gone0 low"},
		},
		"on its way out": {
			append(slices.Clone(full), member("a", 0, "old", "u", MemberDiscarding, "")), 1, []string{"remove a0"},
		},
		"on its way out and its slot free": {
			[]*Member{member("a", 0, "old", "u", MemberDiscarding, "*"), full[1]}, 1, []string{"make a0 low"},
		},
		"a later hub fills": {[]*Member{member("b", 0, "new", "w", MemberReady, "!")}, 1, nil},
		"a later hub's, as we would have it": {
			[]*Member{member("a", 0, "k", "v", MemberReady, "!")}, 1, []string{"make b0 low"},
		},
		"a later hub's half-made one, as we would have it": {
			[]*Member{member("a", 0, "k", "v", MemberPreparing, "!"), full[1]}, 1, []string{"finish a0 low"},
		},
		"on a cluster that is away": {
			[]*Member{
				member("a", 0, "k", "v", MemberReady, "~"), member("a", 1, "k", "u", MemberReady, "~"), member("b", 0, "old", "u", MemberReady, "~"),
				member("b", 1, "k", "v", MemberPreparing, "~"), member("b", 2, "k", "v", MemberDiscarding, "~"),
			}, 2, nil,
		},
		"none is ready but on a cluster that is away": {[]*Member{member("a", 0, "k", "v", MemberReady, "~"), full[1]}, 2, []string{"make a1 low", "make b1"}},
		"on a cluster that is not set up": {
			[]*Member{member("a", 0, "k", "v", MemberReady, "?"), member("b", 0, "k", "v", MemberDiscarding, "?")}, 1, []string{"remove a0 low", "make b0 low"},
		},
		"a later hub's, on a cluster that is not set up": {[]*Member{member("a", 0, "k", "v", MemberReady, "?!"), full[1]}, 1, nil},
	} {
		var got []string
		view := poolView{
			members: c.members, wants: wants, size: c.size, policyAt: now, all: []string{"here/", "away/"}, open: []string{"here/"},
			held: func(m *Member) bool { return m.Worker != "" },
		}
		for _, d := range view.duties() {
			what := "make"
			switch {
			case d.remove:
				what = "remove"
			case d.member != nil:
				what = "finish"
			}
			line := fmt.Sprintf("%s %s%d", what, d.plan, d.slot)
			if d.low {
				line += " low"
			}
			got = append(got, line)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
