//go:build !sabotage

package pgcluster

// A database's roles go with it. sabotage_on.go is the planted bug that the proof program must catch.
const rolesGoToo = true
