package hub

import (
	"fmt"
	"slices"
)

// Dialect is the SQL dialect of a tenant's database.
type Dialect string

// The dialects that features are written for.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// Way says who makes the backend of a plan's requests.
type Way string

// The two ways.
const (
	Automatic  Way = "automatic" // the hub claims and makes it
	ByOperator Way = "operator"  // an operator claims it
)

// CoreFeature is part of every tenant.
const CoreFeature = "core"

// Plan is what a customer buys.
type Plan struct {
	ID           string
	Name         string
	Description  string
	Priority     int // 0 normal, 1 high, 2 urgent
	PriceMonthly int // whole units of the currency
	PriceYearly  int
	Features     []string // as listed in the file, without what they pull in
	Provisioning Way
	SLASeconds   int64 // a request older than this and not ready is overdue; 0 is never
}

// Feature is a schema that a plan can include.
type Feature struct {
	Name        string
	Title       string
	Description string
	DependsOn   []string
	Migrations  []Script // in order, immutable once released
	Seeds       []Script // applied once, after all migrations of all features
	Checks      []Script // read-only queries; each must return no row, a returned row is a fault found
}

// Script is one file of a feature: one text where it is portable, one per dialect where it is not.
type Script struct {
	Name string // "0001_people", unique within the feature
	Text map[Dialect]Source
}

// Source is the text of a script in one dialect.
type Source struct {
	File          string // path within the catalog, for messages
	SQL           string
	Checksum      string // hex SHA-256 of SQL
	NoTransaction bool   // marked "-- kitshub:no-transaction": cannot run in a transaction, written to be safe to repeat
}

// Catalog is one version of plans and features, immutable once loaded.
type Catalog struct {
	Version  string // 16 hex digits over all that reaches a tenant database
	Plans    []Plan // in the order of the file
	Features []Feature
}

// Plan finds a plan by id.
func (c *Catalog) Plan(id string) (Plan, bool) {
	i := slices.IndexFunc(c.Plans, func(p Plan) bool { return p.ID == id })
	if i < 0 {
		return Plan{}, false
	}
	return c.Plans[i], true
}

// Feature finds a feature by name.
func (c *Catalog) Feature(name string) (Feature, bool) {
	i := slices.IndexFunc(c.Features, func(f Feature) bool { return f.Name == name })
	if i < 0 {
		return Feature{}, false
	}
	return c.Features[i], true
}

// Closure gives the features with core and all they depend on, each after what it depends on; ties in the catalog's order.
// An unknown name or a cycle is an error: a loaded catalog has neither.
func (c *Catalog) Closure(names []string) ([]string, error) {
	const visiting, done = 1, 2
	mark := map[string]int{}
	var order []string
	var visit func(name string) error
	visit = func(name string) error {
		switch mark[name] {
		case done:
			return nil
		case visiting:
			return fmt.Errorf("feature %q depends on itself", name)
		}
		f, ok := c.Feature(name)
		if !ok {
			return fmt.Errorf("feature %q is unknown", name)
		}
		mark[name] = visiting
		for _, d := range f.DependsOn {
			if err := visit(d); err != nil {
				return err
			}
		}
		mark[name] = done
		order = append(order, name)
		return nil
	}
	want := map[string]bool{CoreFeature: true}
	for _, n := range names {
		if _, ok := c.Feature(n); !ok {
			return nil, fmt.Errorf("feature %q is unknown", n)
		}
		want[n] = true
	}
	for _, f := range c.Features { // the catalog's order, so that equal sets give equal orders
		if want[f.Name] {
			if err := visit(f.Name); err != nil {
				return nil, err
			}
		}
	}
	return order, nil
}
