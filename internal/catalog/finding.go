package catalog

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// The rules that Load and Lint check; Finding.Rule is one of them.
const (
	RuleMissingFile       = "missing-file"       // plans.yaml, a feature.yaml or all features are not there
	RuleYAML              = "yaml"               // a YAML file that does not parse or has an unknown or ill-typed field
	RuleFeature           = "feature"            // a bad feature.yaml: name, title
	RulePlan              = "plan"               // a bad plan: id, price, priority, provisioning, sla
	RulePlanFeature       = "plan-feature"       // a plan includes a feature that is not there
	RuleUnknownDependency = "unknown-dependency" // depends_on names a feature that is not there
	RuleCycle             = "cycle"              // features depend on each other in a circle
	RuleDuplicate         = "duplicate"          // the same plan, entry, migration number or script twice
	RuleMissingDialect    = "missing-dialect"    // a script has one dialect's text but not the other's
	RuleFileName          = "file-name"          // a .sql file or a folder that no rule gives a meaning
	RuleEmptyScript       = "empty-script"       // a script without a statement
	RuleEdited            = "edited-migration"   // a released migration differs from catalog.lock
	RuleRemoved           = "removed-migration"  // a released migration is gone
	RuleLock              = "lock"               // catalog.lock cannot be read
	RuleOrder             = "migration-order"    // a new migration before a released one
	RuleSQL               = "sql"                // SQL that does not parse or does not run
	RuleCheck             = "check"              // a check that finds a fault in an empty, freshly seeded database
	RuleParity            = "dialects-differ"    // the dialects make different tables or columns
)

// Finding is one problem of a catalog folder.
type Finding struct {
	File    string // path within the folder, with slashes
	Line    int    // 1-based; 1 when the whole file or folder is meant
	Rule    string // one of the Rule constants
	Message string // what is wrong, one sentence without a full stop
	Fix     string // the next step that mends it, one sentence
	Excerpt string // for YAML errors the lines around with a caret, else empty
}

// String is "file:line: message [rule]. Fix", followed by the excerpt on lines of its own.
func (f Finding) String() string {
	s := fmt.Sprintf("%s:%d: %s [%s]", f.File, f.Line, f.Message, f.Rule)
	if f.Fix != "" {
		s += ". " + f.Fix
	}
	if f.Excerpt != "" {
		s += "\n" + strings.TrimRight(f.Excerpt, "\n")
	}
	return s
}

// Error is what Load returns for a folder that is no catalog: every structural problem, ordered by file and line.
type Error struct {
	Findings []Finding
}

// Error lists all problems, one a line.
func (e *Error) Error() string {
	lines := make([]string, 0, len(e.Findings)+1)
	lines = append(lines, fmt.Sprintf("the catalog has %d problem(s); `kitshub catalog lint DIR` shows them too:", len(e.Findings)))
	for _, f := range e.Findings {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

// tidy orders findings by file and line and drops repetitions of one rule at one place.
func tidy(fs []Finding) []Finding {
	slices.SortStableFunc(fs, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule))
	})
	type place struct {
		file, rule, message string
		line                int
	}
	seen := map[place]bool{}
	return slices.DeleteFunc(fs, func(f Finding) bool {
		p := place{file: f.File, line: f.Line, rule: f.Rule, message: f.Message}
		if f.Rule == RuleSQL {
			p.message = "" // one wrong statement, told in the words of both engines, is one finding
		}
		was := seen[p]
		seen[p] = true
		return was
	})
}
