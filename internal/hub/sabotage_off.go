//go:build !sabotage

package hub

import "time"

// deadAfter is five missed beats; with ReapEvery this keeps a takeover well under 30 s. sabotage_on.go is the planted bug that the proof
// program must catch.
const deadAfter = 10 * time.Second
