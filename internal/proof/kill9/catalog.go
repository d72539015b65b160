package kill9

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"

	"github.com/kitshub/kitshub/internal/catalog"
)

const (
	stepwise      = "stepwise" // the plan that cannot be copied
	effects       = "proof_effects"
	effectSteps   = 12
	effectsBefore = 1 // scripts before the first one that counts
)

// guard refuses to run in a golden file: those lie at a place without a tenant's id. In memory (lint, the judge) there is no file.
const guard = `-- Steps of this feature count themselves; a copy of a golden file would hide how often they ran.
CREATE TABLE proof_effects (step TEXT NOT NULL) STRICT;
CREATE TABLE proof_place (in_a_tenant INTEGER NOT NULL) STRICT;
INSERT INTO proof_place
SELECT CASE WHEN coalesce(file, '') = '' OR instr(file, '/ten_') > 0 THEN 1 END FROM pragma_database_list WHERE name = 'main';
`

// guardPostgres does the same where a template is being built.
const guardPostgres = `CREATE TABLE proof_effects (step TEXT NOT NULL);
CREATE TABLE proof_place (in_a_tenant INTEGER NOT NULL);
INSERT INTO proof_place SELECT CASE WHEN current_database() LIKE '%\_b\_%' THEN NULL ELSE 1 END;
`

func effectName(i int) string { return fmt.Sprintf("%04d_effect", i+effectsBefore+1) }

// writeCatalog puts the built-in catalog and the stepwise plan into dir.
func writeCatalog(dir string) error {
	if err := os.CopyFS(dir, catalog.BuiltinFS()); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, "catalog.lock")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := addPlan(filepath.Join(dir, "plans.yaml")); err != nil {
		return fmt.Errorf("add a plan: %w", err)
	}
	files := map[string]string{
		"feature.yaml":              "name: " + effects + "\ntitle: Effects\ndescription: Counts how often each step ran.\ndepends_on: [core]\nposition: 900\n",
		"0001_effects.sqlite.sql":   guard,
		"0001_effects.postgres.sql": guardPostgres,
		"seed.sql":                  "INSERT INTO proof_effects (step) VALUES ('seed');\n",
	}
	for i := range effectSteps {
		files[effectName(i)+".sql"] = fmt.Sprintf("INSERT INTO proof_effects (step) VALUES ('%s');\n", effectName(i))
	}
	feature := filepath.Join(dir, "features", effects)
	if err := os.MkdirAll(feature, 0o750); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(feature, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func addPlan(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var doc map[string][]any
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return err
	}
	doc["plans"] = append(doc["plans"], map[string]any{
		"id": stepwise, "name": "Stepwise", "priority": 2, // served first, so that most kills find one between two steps
		"price_monthly": 0, "price_yearly": 0,
		"features": []string{effects}, "provisioning": "automatic",
	})
	if b, err = yaml.Marshal(doc); err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o600)
}

// effectTimes are the counts that a stepwise tenant must have.
func effectTimes() map[string]int {
	want := map[string]int{"seed": 1}
	for i := range effectSteps {
		want[effectName(i)] = 1
	}
	return want
}
