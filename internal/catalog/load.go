package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// The names of the folder's own files.
const (
	plansName   = "plans.yaml"
	featuresDir = "features"
	featureName = "feature.yaml"
	lockName    = "catalog.lock"
)

var (
	planID      = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	featureID   = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
	dialects    = []hub.Dialect{hub.SQLite, hub.Postgres}
	maxPriority = 2
)

// Load reads a catalog folder. The error is an *Error with every structural problem, or what the file system said. SQL is read, not run: Lint does that.
func Load(fsys fs.FS) (*hub.Catalog, error) {
	l, err := read(fsys)
	if err != nil {
		return nil, err
	}
	if len(l.findings) > 0 {
		return nil, &Error{Findings: tidy(l.findings)}
	}
	return l.catalog(), nil
}

// loader holds what was read so far and what is wrong with it.
type loader struct {
	fsys     fs.FS
	plans    []planEntry
	features []*feature
	texts    []text            // every script file, also of scripts that lack a dialect
	sums     map[string]string // checksum of every script file
	findings []Finding
}

// text is one script file in one dialect: a portable file is two.
type text struct {
	hub.Source
	dialect hub.Dialect
}

// feature is a hub.Feature with the places its parts came from.
type feature struct {
	hub.Feature
	file     string // of its feature.yaml
	position int
	depends  []at[string]
	broken   bool // its scripts are not all there: running them would only find what is found already
}

// read takes in everything that can be read; problems of the content are findings, only a failing file system is an error.
func read(fsys fs.FS) (*loader, error) {
	l := &loader{fsys: fsys, sums: map[string]string{}}
	if err := errors.Join(l.readPlans(), l.readFeatures()); err != nil {
		return nil, err
	}
	l.checkDependencies()
	l.checkCycles()
	l.checkPlans()
	return l, nil
}

func (l *loader) add(file string, line int, rule, fix, format string, args ...any) {
	l.findings = append(l.findings, Finding{File: file, Line: max(1, line), Rule: rule, Message: fmt.Sprintf(format, args...), Fix: fix})
}

func (l *loader) readPlans() error {
	data, err := fs.ReadFile(l.fsys, plansName)
	if errors.Is(err, fs.ErrNotExist) {
		l.add(plansName, 1, RuleMissingFile, "Write plans.yaml with at least one plan; docs/catalog.md shows one.", "there is no plans.yaml")
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", plansName, err)
	}
	var pf plansFile
	if f := decode(plansName, data, &pf); f != nil {
		l.findings = append(l.findings, *f)
		return nil
	}
	if len(pf.Plans) == 0 {
		l.add(plansName, 1, RulePlan, "List at least one plan under `plans:`.", "there is no plan")
	}
	l.plans = pf.Plans
	return nil
}

func (l *loader) readFeatures() error {
	dirs, err := fs.ReadDir(l.fsys, featuresDir)
	if errors.Is(err, fs.ErrNotExist) {
		l.add(featuresDir, 1, RuleMissingFile, "Make a folder features/NAME with a feature.yaml for each feature.", "there is no folder features")
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", featuresDir, err)
	}
	for _, d := range dirs {
		if !d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			continue
		}
		if err := l.readFeature(d.Name()); err != nil {
			return err
		}
	}
	// core comes first, as every tenant has it; the rest by position, then by name, so that the order never depends on the file system.
	slices.SortFunc(l.features, func(a, b *feature) int {
		if (a.Name == hub.CoreFeature) != (b.Name == hub.CoreFeature) {
			if a.Name == hub.CoreFeature {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.position, b.position), cmp.Compare(a.Name, b.Name))
	})
	return nil
}

func (l *loader) readFeature(name string) error {
	dir := featuresDir + "/" + name
	file := dir + "/" + featureName
	if !featureID.MatchString(name) {
		l.add(dir, 1, RuleFileName, "Rename the folder: a letter, then letters, digits and underscores, all lower case.", "%q is no name for a feature", name)
		return nil
	}
	f := &feature{Feature: hub.Feature{Name: name, Title: name}, file: file, position: math.MaxInt}
	data, err := fs.ReadFile(l.fsys, file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.add(file, 1, RuleMissingFile, "Write it with name, title and depends_on, or remove the folder.", "feature %q has no feature.yaml", name)
	case err != nil:
		return fmt.Errorf("read %s: %w", file, err)
	default:
		var ff featureFile
		if bad := decode(file, data, &ff); bad != nil {
			l.findings = append(l.findings, *bad)
			break
		}
		if ff.Name.Value != name {
			l.add(file, ff.Name.Line, RuleFeature, fmt.Sprintf("Set `name: %s`, or rename the folder.", name), "the feature in folder %q says its name is %q", name, ff.Name.Value)
		}
		f.Title, f.Description, f.depends = cmp.Or(ff.Title.Value, name), ff.Description, ff.DependsOn
		if ff.Position != nil {
			f.position = *ff.Position
		}
	}
	l.features = append(l.features, f)
	return l.readScripts(f, dir)
}

func (l *loader) feature(name string) *feature {
	i := slices.IndexFunc(l.features, func(f *feature) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return l.features[i]
}

func (l *loader) checkPlans() {
	lines := map[string]int{}
	for _, p := range l.plans {
		line, id := max(p.ID.Line, 1), p.ID.Value
		if !planID.MatchString(id) {
			l.add(plansName, line, RulePlan, "Give it an id of lower-case letters, digits, - and _, beginning with a letter.", "%q is no id for a plan", id)
		} else if first, twice := lines[id]; twice {
			l.add(plansName, line, RuleDuplicate, "Give one of them another id.", "plan %q is already on line %d", id, first)
		} else {
			lines[id] = line
		}
		if strings.TrimSpace(p.Name.Value) == "" {
			l.add(plansName, max(line, p.Name.Line), RulePlan, "Give it a `name` that customers see.", "plan %q has no name", id)
		}
		if p.Priority.Value < 0 || p.Priority.Value > maxPriority {
			l.add(plansName, p.Priority.Line, RulePlan, "Use 0 (normal), 1 (high) or 2 (urgent).", "plan %q has priority %d", id, p.Priority.Value)
		}
		for _, price := range []at[int]{p.PriceMonthly, p.PriceYearly} {
			if price.Value < 0 {
				l.add(plansName, price.Line, RulePlan, "Use whole units of the currency, 0 for free.", "plan %q has the price %d", id, price.Value)
			}
		}
		if w := p.Provisioning; w.Line > 0 && w.Value != string(hub.Automatic) && w.Value != string(hub.ByOperator) {
			l.add(plansName, w.Line, RulePlan, "Use `automatic` or `operator`.", "plan %q has the provisioning %q", id, w.Value)
		}
		if _, err := slaSeconds(p.SLA); err != nil {
			l.add(plansName, p.SLA.Line, RulePlan, "Use a duration such as 4h or 90m, or leave it out.", "plan %q has the sla %q", id, p.SLA.Value)
		}
		seen := map[string]bool{}
		for _, name := range p.Features {
			if seen[name.Value] {
				l.add(plansName, name.Line, RuleDuplicate, "Remove one of them.", "plan %q lists feature %q twice", id, name.Value)
			} else if l.feature(name.Value) == nil {
				l.add(plansName, name.Line, RulePlanFeature, "Use one of: "+l.names()+".", "plan %q includes the feature %q, which is not there", id, name.Value)
			}
			seen[name.Value] = true
		}
	}
}

// slaSeconds reads a plan's sla; an absent one is 0, never overdue.
func slaSeconds(s at[string]) (int64, error) {
	if s.Line == 0 {
		return 0, nil
	}
	d, err := time.ParseDuration(s.Value)
	if err == nil && d < time.Second {
		err = errors.New("shorter than a second")
	}
	return int64(d / time.Second), err
}

// names lists the features for a message.
func (l *loader) names() string {
	var names []string
	for _, f := range l.features {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

// catalog makes the result; only for a loader without findings.
func (l *loader) catalog() *hub.Catalog {
	c := &hub.Catalog{}
	for _, p := range l.plans {
		sla, _ := slaSeconds(p.SLA) // checkPlans refused a bad one
		plan := hub.Plan{
			ID: p.ID.Value, Name: p.Name.Value, Description: p.Description, Priority: p.Priority.Value,
			PriceMonthly: p.PriceMonthly.Value, PriceYearly: p.PriceYearly.Value,
			Provisioning: hub.Way(cmp.Or(p.Provisioning.Value, string(hub.Automatic))), SLASeconds: sla,
		}
		for _, f := range p.Features {
			plan.Features = append(plan.Features, f.Value)
		}
		c.Plans = append(c.Plans, plan)
	}
	for _, f := range l.features {
		c.Features = append(c.Features, f.Feature)
	}
	c.Version = version(c)
	return c
}
