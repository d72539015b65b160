package catalog

import (
	"slices"
	"strings"
)

// checkDependencies finds what depends_on names wrongly and fills in the rest.
func (l *loader) checkDependencies() {
	for _, f := range l.features {
		seen := map[string]bool{}
		for _, d := range f.depends {
			switch {
			case seen[d.Value]:
				l.add(f.file, d.Line, RuleDuplicate, "Remove one of them.", "feature %q depends on %q twice", f.Name, d.Value)
				continue
			case l.feature(d.Value) == nil:
				l.add(f.file, d.Line, RuleUnknownDependency, "Use one of: "+l.names()+", or add that feature.", "feature %q depends on %q, which is not there", f.Name, d.Value)
				continue
			}
			seen[d.Value] = true
			f.DependsOn = append(f.DependsOn, d.Value)
		}
	}
}

// checkCycles reports each circle once, at the entry of depends_on that closes it.
func (l *loader) checkCycles() {
	done := map[string]bool{}
	var path []string
	var visit func(f *feature)
	visit = func(f *feature) {
		if done[f.Name] {
			return
		}
		path = append(path, f.Name)
		for _, d := range f.depends {
			next := l.feature(d.Value)
			if next == nil {
				continue
			}
			if i := slices.Index(path, next.Name); i >= 0 {
				circle := strings.Join(append(slices.Clone(path[i:]), next.Name), " → ")
				l.add(f.file, d.Line, RuleCycle, "Remove one of these dependencies; what both need can be a feature of its own.", "features depend on each other in a circle: %s", circle)
				continue
			}
			visit(next)
		}
		path = path[:len(path)-1]
		done[f.Name] = true
	}
	for _, f := range l.features {
		visit(f)
	}
}
