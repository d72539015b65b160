//go:build unix

package handover

import (
	"testing"

	"github.com/kitshub/kitshub/internal/proof/check"
)

// Each target counts, in its own direction.
func TestTargets(t *testing.T) {
	full := func() *Result {
		r := &Result{Ratio: strictRatio, Template: strictTemplate, Refill: strictRefill, ReadyP50: strictP50, ReadyP99: strictP99}
		r.Begin("handover", check.Options{N: 1, Log: t.Output()})
		return r
	}
	for name, tt := range map[string]struct {
		spoil func(*Result)
		want  int
	}{
		"just met":      {func(*Result) {}, 0},
		"hand-over":     {func(r *Result) { r.Ratio-- }, 1},
		"template":      {func(r *Result) { r.Template-- }, 1},
		"refill":        {func(r *Result) { r.Refill = 0.59 }, 1},
		"median":        {func(r *Result) { r.ReadyP50++ }, 1},
		"slow for some": {func(r *Result) { r.ReadyP99++ }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := full()
			tt.spoil(r)
			r.targets()
			if r.Violations != tt.want {
				t.Errorf("%d violations: %v", r.Violations, r.Found)
			}
		})
	}
}
