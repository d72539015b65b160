//go:build unix

package orphans

import (
	"testing"

	"github.com/kitshub/kitshub/internal/proof/check"
)

// Kills that never met the hub at something, or left nothing half done, prove nothing.
func TestDemands(t *testing.T) {
	full := func() *Result {
		r := &Result{KillsByAim: map[string]int{}, Gaps: map[string]int{}, Completed: 1, Cancelled: 1}
		r.Begin("orphans", check.Options{N: enough, Log: t.Output()})
		r.Done = enough
		for _, a := range aims {
			r.KillsByAim[a.name] = 1
		}
		for _, g := range mustLeave {
			r.Gaps[g] = 1
		}
		return r
	}
	for name, tt := range map[string]struct {
		spoil func(*Result)
		want  int
	}{
		"enough":           {func(*Result) {}, 0},
		"an aim missed":    {func(r *Result) { delete(r.KillsByAim, "hand over") }, 1},
		"a gap missed":     {func(r *Result) { delete(r.Gaps, gapRoles) }, 1},
		"nobody completed": {func(r *Result) { r.Completed = 0 }, 1},
		"few kills":        {func(r *Result) { r.Done, r.Cancelled = enough-1, 0; clear(r.Gaps) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := full()
			tt.spoil(r)
			r.demands()
			if r.Violations != tt.want {
				t.Errorf("%d violations: %v", r.Violations, r.Found)
			}
		})
	}
}
