//go:build unix

package orphans_test

import (
	"testing"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/orphans"
)

// Small, but the whole of it.
func TestRun(t *testing.T) {
	res, err := orphans.Run(t.Context(), check.Options{Engine: check.Postgres, N: 2, Seed: 2, Log: t.Output()})
	if err != nil || !res.Passed() || res.Reported < res.Planted || res.Planted == 0 || res.Verified == 0 || res.Looked != 1 {
		t.Errorf("%+v: %v", res, err)
	}
}
