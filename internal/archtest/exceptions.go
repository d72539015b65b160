package archtest

import "fmt"

// exception lets one breach of one rule stand.
type exception struct {
	rule, where string
	reason      string
}

// exceptions is the whole list. An entry that excuses nothing any more fails the test, so the list only holds what
// is true today.
var exceptions = []exception{
	{"package", "internal/hub", "the domain: a topic's noun, rule, use case and port stand in one file; a package below it would tear topics apart"},
}

// except takes away the excused findings and adds one for each exception that excused nothing.
func except(found []Finding, list []exception) []Finding {
	var left []Finding
	used := make([]bool, len(list))
	for _, f := range found {
		excused := false
		for i, e := range list {
			if e.rule == f.Rule && e.where == f.Where {
				used[i], excused = true, true
			}
		}
		if !excused {
			left = append(left, f)
		}
	}
	for i, e := range list {
		if !used[i] {
			left = append(left, Finding{"exceptions", e.where, fmt.Sprintf("the exception from %q (%s) excuses nothing any more; remove it", e.rule, e.reason)})
		}
		if e.reason == "" {
			left = append(left, Finding{"exceptions", e.where, "has no reason"})
		}
	}
	return left
}
