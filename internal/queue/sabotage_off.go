//go:build !sabotage

package queue

// Sabotaged reports that the planted bug of sabotage_on.go is built in.
const Sabotaged = false

// betweenClasses gives how many are ahead: those of higher classes are counted with those of the own class, which are ownClass of them.
func betweenClasses(ahead, _ int) int { return ahead }
