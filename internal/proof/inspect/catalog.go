package inspect

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Catalog is a catalog's folder, read the simple way.
type Catalog struct {
	Plans    []Plan
	features map[string]*feature
}

// Plan is one plan of plans.yaml.
type Plan struct {
	ID           string   `yaml:"id"`
	Features     []string `yaml:"features"`
	Provisioning string   `yaml:"provisioning"`
}

// ByOperator says that a person claims its requests.
func (p Plan) ByOperator() bool { return p.Provisioning == "operator" }

type feature struct {
	name     string
	position int
	depends  []string
	scripts  []script
}

type script struct {
	step string            // as the ledger names it
	sql  map[string]string // by engine
	seed bool
}

// Read reads plans.yaml and features/*/ of a folder.
func Read(folder fs.FS) (*Catalog, error) {
	var plans struct {
		Plans []Plan `yaml:"plans"`
	}
	if err := readYAML(folder, "plans.yaml", &plans); err != nil {
		return nil, err
	}
	c := &Catalog{Plans: plans.Plans, features: map[string]*feature{}}
	files, err := fs.Glob(folder, "features/*/feature.yaml")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		var doc struct {
			DependsOn []string `yaml:"depends_on"`
			Position  int      `yaml:"position"`
		}
		if err := readYAML(folder, file, &doc); err != nil {
			return nil, err
		}
		name := strings.Split(file, "/")[1]
		f := &feature{name: name, position: doc.Position, depends: doc.DependsOn}
		if err := f.readScripts(folder); err != nil {
			return nil, err
		}
		c.features[name] = f
	}
	return c, nil
}

func readYAML(folder fs.FS, file string, into any) error {
	b, err := fs.ReadFile(folder, file)
	if err != nil {
		return fmt.Errorf("read the catalog: %w", err)
	}
	if err := yaml.Unmarshal(b, into); err != nil {
		return fmt.Errorf("read the catalog: %s: %w", file, err)
	}
	return nil
}

func (f *feature) readScripts(folder fs.FS) error {
	files, err := fs.Glob(folder, "features/"+f.name+"/*.sql")
	if err != nil {
		return err
	}
	for _, file := range files { // sorted, so migrations come by number
		base := strings.TrimSuffix(file[strings.LastIndex(file, "/")+1:], ".sql")
		name, engine, _ := strings.Cut(base, ".")
		if name == "check" {
			continue
		}
		b, err := fs.ReadFile(folder, file)
		if err != nil {
			return fmt.Errorf("read the catalog: %w", err)
		}
		step := f.name + "/" + name
		i := slices.IndexFunc(f.scripts, func(s script) bool { return s.step == step })
		if i < 0 {
			f.scripts = append(f.scripts, script{step: step, sql: map[string]string{}, seed: name == "seed"})
			i = len(f.scripts) - 1
		}
		for _, e := range []string{sqlite, postgres} {
			if engine == "" || engine == e {
				f.scripts[i].sql[e] = string(b)
			}
		}
	}
	return nil
}

// order gives the features with core and all they need, each after what it needs.
func (c *Catalog) order(wanted []string) ([]*feature, error) {
	need := map[string]bool{}
	var pull func(name string) error
	pull = func(name string) error {
		f, ok := c.features[name]
		if !ok {
			return fmt.Errorf("the catalog has no feature %q", name)
		}
		if need[name] {
			return nil
		}
		need[name] = true
		for _, d := range f.depends {
			if err := pull(d); err != nil {
				return err
			}
		}
		return nil
	}
	for _, w := range append([]string{"core"}, wanted...) {
		if err := pull(w); err != nil {
			return nil, err
		}
	}
	var left, out []*feature
	for name := range need {
		left = append(left, c.features[name])
	}
	slices.SortFunc(left, func(a, b *feature) int {
		if a.position != b.position {
			return a.position - b.position
		}
		return strings.Compare(a.name, b.name)
	})
	ready := func(f *feature) bool {
		return !slices.ContainsFunc(f.depends, func(d string) bool {
			return !slices.ContainsFunc(out, func(o *feature) bool { return o.name == d })
		})
	}
	for len(left) > 0 {
		i := slices.IndexFunc(left, ready)
		if i < 0 {
			return nil, fmt.Errorf("the catalog's features need each other in a circle")
		}
		out = append(out, left[i])
		left = slices.Delete(left, i, i+1)
	}
	return out, nil
}

// scripts gives what is run for the features: every migration, then every seed.
func (c *Catalog) scripts(wanted []string) ([]script, error) {
	order, err := c.order(wanted)
	if err != nil {
		return nil, err
	}
	var migrations, seeds []script
	for _, f := range order {
		for _, s := range f.scripts {
			if s.seed {
				seeds = append(seeds, s)
			} else {
				migrations = append(migrations, s)
			}
		}
	}
	return append(migrations, seeds...), nil
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
