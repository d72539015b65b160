package pgkit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"

	"github.com/kitshub/kitshub/internal/catalog"
)

// Plan is one plan of a world's catalog, automatic unless ByOperator.
type Plan struct {
	ID         string
	Features   []string
	ByOperator bool
}

// Everything lists the features of the enterprise plan, the largest there is.
var Everything = []string{"inventory", "pos", "analytics", "crm", "hr", "accounting"}

// EffectsFeature is the feature whose steps count themselves, where a world has one.
const EffectsFeature = "proof_effects"

// Feature is one that a world's catalog has beside the built-in ones.
type Feature struct {
	Name  string
	Files map[string]string // beside feature.yaml
}

func (f Feature) write(dir string) error {
	dir = filepath.Join(dir, "features", f.Name)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	text := "name: " + f.Name + "\ntitle: " + f.Name + "\ndescription: Made for a proof.\ndepends_on: [core]\nposition: 900\n"
	if err := os.WriteFile(filepath.Join(dir, "feature.yaml"), []byte(text), 0o600); err != nil {
		return err
	}
	for name, text := range f.Files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Effects is a feature that a template cannot hold, so that its tenants go through the pipeline step by step. Each step writes its own name into
// a table without a key, and takes as long as is said here.
type Effects struct {
	Steps   int
	Seconds float64 // each
}

// Name gives the i-th step's, from 0.
func (*Effects) Name(i int) string { return fmt.Sprintf("%04d_effect", i+2) }

// Query reads what the steps wrote, for Times to be compared with.
const Query = `SELECT step FROM proof_effects`

// Times is how often each step must have had its effect.
func (e *Effects) Times() map[string]int {
	times := map[string]int{"seed": 1}
	for i := range e.Steps {
		times[e.Name(i)] = 1
	}
	return times
}

// guard fails where a template is being built; the pipeline then gives the tenant an empty database.
const guard = `-- Steps of this feature count themselves; a copy of a template would hide how often they ran.
CREATE TABLE proof_effects (step TEXT NOT NULL);
CREATE TABLE proof_place (in_a_tenant INTEGER NOT NULL);
INSERT INTO proof_place SELECT CASE WHEN current_database() LIKE '%\_b\_%' THEN NULL ELSE 1 END;
`

const guardSQLite = `CREATE TABLE proof_effects (step TEXT NOT NULL) STRICT;
CREATE TABLE proof_place (in_a_tenant INTEGER NOT NULL) STRICT;
INSERT INTO proof_place VALUES (1);
`

// Feature is what the catalog gets.
func (e *Effects) Feature() Feature {
	files := map[string]string{
		"0001_effects.sqlite.sql":   guardSQLite,
		"0001_effects.postgres.sql": guard,
		"seed.sql":                  "INSERT INTO proof_effects (step) VALUES ('seed');\n",
	}
	for i := range e.Steps {
		files[e.Name(i)+".sqlite.sql"] = fmt.Sprintf("INSERT INTO proof_effects (step) VALUES ('%s');\n", e.Name(i))
		files[e.Name(i)+".postgres.sql"] = fmt.Sprintf("INSERT INTO proof_effects (step) SELECT '%s' FROM pg_sleep(%g);\n", e.Name(i), e.Seconds)
	}
	return Feature{EffectsFeature, files}
}

// WriteCatalog puts the built-in features, those asked for beside them, and the plans into dir.
func WriteCatalog(dir string, plans []Plan, beside []Feature) error {
	if err := os.CopyFS(dir, catalog.BuiltinFS()); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, "catalog.lock")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, f := range beside {
		if err := f.write(dir); err != nil {
			return err
		}
	}
	var list []map[string]any
	for _, p := range plans {
		way := "automatic"
		if p.ByOperator {
			way = "operator"
		}
		list = append(list, map[string]any{
			"id": p.ID, "name": p.ID, "priority": 0, "price_monthly": 0, "price_yearly": 0, "features": p.Features, "provisioning": way,
		})
	}
	b, err := yaml.Marshal(map[string]any{"plans": list})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "plans.yaml"), b, 0o600)
}
