package hubtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/kitshub/kitshub/internal/hub"
)

// Script makes a script of one text, but for what numbers rows.
func Script(feature, name, sql string) hub.Script {
	text := func(sql string) hub.Source {
		sum := sha256.Sum256([]byte(sql))
		return hub.Source{File: fmt.Sprintf("features/%s/%s.sql", feature, name), SQL: sql, Checksum: hex.EncodeToString(sum[:])}
	}
	return hub.Script{Name: name, Text: map[hub.Dialect]hub.Source{
		hub.SQLite: text(sql), hub.Postgres: text(strings.ReplaceAll(sql, "INTEGER PRIMARY KEY", "INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY")),
	}}
}

// counted is a script that leaves a row each time it runs, so that twice would show. Only the first has the table to make.
func counted(feature, name, more string) hub.Script {
	return Script(feature, name, more+fmt.Sprintf("\nINSERT INTO effects (step) VALUES ('%s/%s');\n", feature, name))
}

func table(feature string) string {
	return fmt.Sprintf("CREATE TABLE %s_things (id INTEGER PRIMARY KEY, name TEXT NOT NULL);", feature)
}

func feature(name string, needs ...string) hub.Feature {
	first := table(name)
	if name == hub.CoreFeature {
		first = "CREATE TABLE effects (step TEXT NOT NULL);\n" + first
	}
	return hub.Feature{
		Name: name, Title: "The " + name, DependsOn: needs,
		Migrations: []hub.Script{counted(name, "0001", first), counted(name, "0002", fmt.Sprintf("ALTER TABLE %s_things ADD COLUMN note TEXT;", name))},
		Seeds:      []hub.Script{counted(name, "seed", fmt.Sprintf("INSERT INTO %s_things (name) VALUES ('one');", name))},
		Checks:     []hub.Script{Script(name, "check", fmt.Sprintf("SELECT 'nothing' WHERE (SELECT count(*) FROM %s_things) <> 1;", name))},
	}
}

// Catalog is a small one: starter and pro are automatic, enterprise is the operators'. crm needs sales, which needs inventory.
func Catalog() *hub.Catalog {
	return &hub.Catalog{
		Version: "00000000000000v1",
		Plans: []hub.Plan{
			{ID: "starter", Name: "Starter", Features: []string{"inventory"}, Provisioning: hub.Automatic},
			{ID: "pro", Name: "Pro", Priority: 1, Features: []string{"crm"}, Provisioning: hub.Automatic, SLASeconds: 3600},
			{ID: "enterprise", Name: "Enterprise", Priority: 2, Features: []string{"crm", "hr"}, Provisioning: hub.ByOperator, SLASeconds: 60},
		},
		Features: []hub.Feature{feature("core"), feature("hr"), feature("crm", "sales"), feature("inventory"), feature("sales", "inventory")},
	}
}

// Catalogs is hub.Catalogs whose files are a variable.
type Catalogs struct {
	mu    sync.Mutex
	now   *hub.Catalog
	files *hub.Catalog
}

// NewCatalogs gives catalogs with a changed Catalog in force.
func NewCatalogs(change func(*hub.Catalog)) *Catalogs {
	c := &Catalogs{files: Catalog()}
	c.Edit(change)
	c.now = c.files
	return c
}

// Edit changes the files; what is in force changes with the next Reload.
func (c *Catalogs) Edit(change func(*hub.Catalog)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := *c.files
	next.Plans, next.Features = slices.Clone(next.Plans), slices.Clone(next.Features)
	for i := range next.Features {
		f := &next.Features[i]
		f.Migrations, f.Seeds, f.Checks = slices.Clone(f.Migrations), slices.Clone(f.Seeds), slices.Clone(f.Checks)
	}
	change(&next)
	c.files = &next
}

// Current implements hub.Catalogs.
func (c *Catalogs) Current() *hub.Catalog {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Reload implements hub.Catalogs.
func (c *Catalogs) Reload(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.files
	return nil
}

// Feature gives a feature to edit.
func Feature(c *hub.Catalog, name string) *hub.Feature {
	i := slices.IndexFunc(c.Features, func(f hub.Feature) bool { return f.Name == name })
	return &c.Features[i]
}
