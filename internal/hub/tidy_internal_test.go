package hub

import (
	"slices"
	"testing"
	"time"
)

// TestTidyIsDue: soon after the start, then every few minutes, never in step with other hubs.
func TestTidyIsDue(t *testing.T) {
	starts, periods := map[time.Duration]bool{}, map[time.Duration]bool{}
	for range 20 {
		var tidy tidier
		var shared []bool
		start := time.Now()
		after := func(from time.Time) time.Duration {
			for at := from; ; at = at.Add(time.Second) {
				if due, all := tidy.isDue(at); due {
					shared = append(shared, all)
					return at.Sub(from)
				}
			}
		}
		first := after(start)
		second := after(start.Add(first))
		if first < 4*time.Second || first > 8*time.Second || second < 3*time.Minute || second > 7*time.Minute {
			t.Errorf("due after %s and then %s", first, second)
		}
		starts[first], periods[second] = true, true
		now := start.Add(first + second)
		tidy.soon(now) // another hub was buried
		if third := after(now); third > 8*time.Second {
			t.Errorf("%s after a burial", third)
		}
		if !slices.Equal(shared, []bool{true, false, true}) {
			t.Errorf("looked at the clusters: %v", shared)
		}
	}
	if len(starts) < 2 || len(periods) < 2 {
		t.Error("no jitter")
	}
}
