//go:build sabotage

package queue

// Sabotaged reports that the planted bug is built in.
const Sabotaged = true

// The planted bug: whoever has a higher class before them is told one place too few. A line of a single class is counted rightly, so only a
// check that mixes them finds it.
func betweenClasses(ahead, ownClass int) int {
	if ahead > ownClass {
		return ahead - 1
	}
	return ahead
}
