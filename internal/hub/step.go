package hub

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// StepKind says what a step does.
type StepKind string

// The kinds, in the order in which a pipeline runs them.
const (
	StepCreate   StepKind = "create"   // the empty database, or a copy of the template
	StepIdentity StepKind = "identity" // the sealed row that says whose it is
	StepMigrate  StepKind = "migrate"
	StepSeed     StepKind = "seed"
	StepCheck    StepKind = "check"
	StepProbe    StepKind = "probe" // as the tenant would: open, write, read, roll back
)

// Step is one unit of the pipeline, as planned from the catalog.
type Step struct {
	Name   string // "create", "inventory/0001_items", "inventory/seed", "probe"
	Kind   StepKind
	Title  string // for people
	Source Source // empty for create, identity and probe
}

// InLedger reports whether the step leaves a row in the tenant's ledger.
func (s Step) InLedger() bool { return s.Kind == StepMigrate || s.Kind == StepSeed }

// StepStatus is how far a step has come.
type StepStatus string

// The states of a step.
const (
	StepPending StepStatus = "pending"
	StepRunning StepStatus = "running"
	StepDone    StepStatus = "done"
	StepFailed  StepStatus = "failed"
)

// StepRecord is what the hub remembers of a step of one request.
type StepRecord struct {
	Seq        int
	Name       string
	Kind       StepKind
	Title      string
	Status     StepStatus
	StartedAt  *time.Time
	FinishedAt *time.Time
	Tries      int
	Failure    *Failure
}

// Failure is why a step, and with it its request, failed. Cause and Action are for operators; Customer is fit for the customer. A request that
// the hub has taken up again by itself keeps it until it ends well or fails anew.
type Failure struct {
	Step     string `json:"step"`
	Class    Class  `json:"class"`
	Code     string `json:"code,omitempty"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Cause    string `json:"cause"`
	Action   string `json:"action"`
	Customer string `json:"customer"`
	Tries    int    `json:"tries"`

	RetryAt *time.Time `json:"retry_at,omitempty"` // when the hub tries again by itself; nil when it does not
	Retries int        `json:"retries,omitempty"`  // how often it has
}

// PlanSteps lays out the pipeline for a feature set: create, identity, every migration in dependency order, then seeds, checks and the probe.
func PlanSteps(c *Catalog, features []string, d Dialect) ([]Step, error) {
	order, err := c.Closure(features)
	if err != nil {
		return nil, err
	}
	steps := []Step{
		{Name: "create", Kind: StepCreate, Title: "Create the database"},
		{Name: "identity", Kind: StepIdentity, Title: "Seal its identity"},
	}
	add := func(kind StepKind, verb string, pick func(Feature) []Script) error {
		for _, name := range order {
			f, _ := c.Feature(name)
			for _, s := range pick(f) {
				src, ok := s.Text[d]
				if !ok {
					return fmt.Errorf("feature %q has no %s text for %s", name, s.Name, d)
				}
				steps = append(steps, Step{Name: name + "/" + s.Name, Kind: kind, Title: verb + f.Title, Source: src})
			}
		}
		return nil
	}
	if err := add(StepMigrate, "Set up ", func(f Feature) []Script { return f.Migrations }); err != nil {
		return nil, err
	}
	if err := add(StepSeed, "Fill in ", func(f Feature) []Script { return f.Seeds }); err != nil {
		return nil, err
	}
	if err := add(StepCheck, "Check ", func(f Feature) []Script { return f.Checks }); err != nil {
		return nil, err
	}
	return append(steps, Step{Name: "probe", Kind: StepProbe, Title: "Try it as you would"}), nil
}

// ContentKey is the digest of all scripts that a template or a member of the pool has been through, the checks among them: equal key, equal
// content, equally checked.
func ContentKey(d Dialect, steps []Step) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n", d)
	for _, s := range steps {
		if s.Source.Checksum != "" {
			fmt.Fprintf(h, "%s %s\n", s.Name, s.Source.Checksum)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}
