//go:build unix

package burst_test

import (
	"testing"

	"github.com/kitshub/kitshub/internal/proof/burst"
	"github.com/kitshub/kitshub/internal/proof/check"
)

// Small, but the whole of it.
func TestRun(t *testing.T) {
	res, err := burst.Run(t.Context(), check.Options{Engine: check.Postgres, N: 3, Seed: 2, Log: t.Output()})
	if err != nil || !res.Passed() || res.Signups != 3 || res.FromPool != 3 || res.Verified != 3 || res.ReadyP99 <= 0 {
		t.Errorf("%+v: %v", res, err)
	}
}
