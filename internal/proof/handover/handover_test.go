//go:build unix

package handover_test

import (
	"testing"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/handover"
)

// Small, but the whole of it.
func TestRun(t *testing.T) {
	res, err := handover.Run(t.Context(), check.Options{Engine: check.Postgres, N: 3, Seed: 2, Log: t.Output()})
	if err != nil || !res.Passed() || res.Ratio <= 0 || res.Template <= 0 || res.Refill <= 0 || res.Compared != 3 || res.Verified != 3 || res.FromPool != 3 {
		t.Errorf("%+v: %v", res, err)
	}
}
