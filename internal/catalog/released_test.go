package catalog_test

import (
	"testing"
	"testing/fstest"

	"github.com/kitshub/kitshub/internal/catalog"
)

// TestReleased: an edited migration is told without the whole of lint, and a catalog in order is silent.
func TestReleased(t *testing.T) {
	files := fstest.MapFS{}
	add := func(name, text string) { files[name] = &fstest.MapFile{Data: []byte(text)} }
	add("plans.yaml", "plans:\n  - id: starter\n    name: Starter\n    provisioning: automatic\n    features: [core]\n")
	add("features/core/feature.yaml", "name: core\ntitle: Core\n")
	add("features/core/0001_people.sql", "CREATE TABLE people (id TEXT PRIMARY KEY);\n")
	lock, err := catalog.Lock(files)
	if err != nil {
		t.Fatal(err)
	}
	add("catalog.lock", string(lock))
	if found := catalog.Released(files); len(found) != 0 {
		t.Errorf("in order, but: %v", found)
	}
	add("features/core/0001_people.sql", "CREATE TABLE people (id TEXT PRIMARY KEY, name TEXT);\n")
	found := catalog.Released(files)
	if len(found) != 1 || found[0].Rule != catalog.RuleEdited || found[0].File != "features/core/0001_people.sql" {
		t.Errorf("an edited migration gives %v", found)
	}
}
