//go:build unix

package pgkit

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func whole() *Census {
	role := func(db string) string { return "kitshub:role:" + db + ":0" }
	return &Census{
		Databases: map[string]Database{
			"kh_a":    {Comment: "kitshub:ten_a:1", Open: true},
			"kh_m":    {Comment: "kitshub:pool:mem_m:1", Open: true},
			"kh_t_x1": {Comment: "kitshub:template:x1:7"},
		},
		Roles: map[string]string{
			"kh_owner": "kitshub:cluster", "kh_app": "kitshub:cluster",
			"kh_a_o": role("kh_a"), "kh_a_r": role("kh_a"), "kh_m_o": role("kh_m"), "kh_m_r": role("kh_m"),
		},
		Tenants: []Owner{
			{ID: "ten_a", Request: "req_a", State: "active", Done: true, Database: "kh_a", Generation: 1},
			{ID: "ten_b", Request: "req_b", State: "provisioning", Database: "kh_b", Generation: 1}, // nothing made yet
		},
		Members: []Owner{{ID: "mem_m", State: "ready", Done: true, Database: "kh_m", Generation: 1}},
	}
}

// Each kind of damage is found for what it is; a census that finds nothing in anything is worth nothing.
func TestCensusFindsEveryFault(t *testing.T) {
	for name, tt := range map[string]struct {
		harm                     func(*Census)
		orphans, ghosts, doubles int
		say                      string
	}{
		"nothing wrong": {harm: func(*Census) {}},
		"a tenant's database is gone": {
			harm: func(c *Census) { delete(c.Databases, "kh_a") }, ghosts: 1, orphans: 2, say: "ten_a (active) has no database kh_a",
		},
		"a tenant's role is gone": {harm: func(c *Census) { delete(c.Roles, "kh_a_r") }, ghosts: 1, say: "no role kh_a_r"},
		"nobody's database": {
			harm: func(c *Census) { c.Databases["kh_z"] = Database{Comment: "kitshub:ten_z:1", Open: true} }, orphans: 1, say: "no such tenant",
		},
		"half made": {harm: func(c *Census) { c.Databases["kh_z"] = Database{} }, orphans: 1, say: `kh_z says ""`},
		"half dropped": {
			harm: func(c *Census) { c.Databases["kh_z"] = Database{Comment: "kitshub:dropping:ten_z:1"} }, orphans: 1, say: "dropping",
		},
		"half built": {harm: func(c *Census) { c.Databases["kh_b_x"] = Database{Comment: "kitshub:building:x:7"} }, orphans: 1, say: "building"},
		"another's mark": {
			harm: func(c *Census) { c.Databases["kh_a"] = Database{Comment: "kitshub:ten_b:1", Open: true} }, orphans: 1, say: "whose database is kh_b",
		},
		"another generation": {
			harm: func(c *Census) { c.Databases["kh_a"] = Database{Comment: "kitshub:ten_a:2", Open: true} }, orphans: 1, say: "kitshub:ten_a:2",
		},
		"roles without a database": {
			harm: func(c *Census) { c.Roles["kh_z_o"] = "kitshub:role:kh_z:0" }, orphans: 1, say: "role kh_z_o",
		},
		"an unmarked role": {harm: func(c *Census) { c.Roles["kh_a_o"] = "" }, orphans: 1, say: "role kh_a_o"},
		"two of one mark": {
			harm: func(c *Census) { c.Databases["kh_y"] = Database{Comment: "kitshub:ten_a:1", Open: true} }, doubles: 1, orphans: 1, say: "both say",
		},
		"handed out twice": {
			harm: func(c *Census) { c.Tenants[1].Database = "kh_a" }, doubles: 1, say: "recorded as that of ten_a and of ten_b",
		},
		"handed out and still in the pool": {
			harm: func(c *Census) { c.Members[0].Database = "kh_a" }, doubles: 1, orphans: 1, say: "ten_a and of mem_m",
		},
		"handed out on record, and its turn has not come": {
			harm: func(c *Census) { c.Members, c.Tenants[1].Database, c.Tenants[1].Took = nil, "kh_m", "mem_m" },
		},
		"recorded as one's own and not as taken": {
			harm: func(c *Census) { c.Members, c.Tenants[1].Database = nil, "kh_m" }, orphans: 1, say: "no such tenant or member",
		},
		"taken, with another member's mark": {
			harm: func(c *Census) { c.Members, c.Tenants[1].Database, c.Tenants[1].Took = nil, "kh_m", "mem_x" }, orphans: 1, say: "mem_m",
		},
		"handed out and ready with the pool's mark": {
			harm: func(c *Census) {
				c.Members, c.Tenants[1].Database, c.Tenants[1].Took, c.Tenants[1].Done = nil, "kh_m", "mem_m", true
			}, orphans: 1, say: "no such tenant or member",
		},
		"two tenants of one request": {harm: func(c *Census) { c.Tenants[1].Request = "req_a" }, doubles: 1, say: "request req_a"},
		"closed":                     {harm: func(c *Census) { c.Databases["kh_a"] = Database{Comment: "kitshub:ten_a:1"} }, ghosts: 1, say: "lets nobody in"},
		"an open template": {
			harm: func(c *Census) { c.Databases["kh_t_x1"] = Database{Comment: "kitshub:template:x1:7", Open: true} }, orphans: 1, say: "can be entered",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := whole()
			tt.harm(c)
			f := c.Judge()
			if len(f.Orphans) != tt.orphans || len(f.Ghosts) != tt.ghosts || len(f.Doubles) != tt.doubles || !strings.Contains(strings.Join(f.All(), "\n"), tt.say) {
				t.Errorf("found %q", f.All())
			}
		})
	}
}

// A plan's catalog is one that the hub takes, and the effects are those that are asked for.
func TestEffects(t *testing.T) {
	e := &Effects{Steps: 3, Seconds: 0.25}
	files := slices.Sorted(maps.Keys(e.Feature().Files))
	if len(files) != 3+2*e.Steps || len(e.Times()) != e.Steps+1 {
		t.Errorf("%d files: %q, %v", len(files), files, e.Times())
	}
}
