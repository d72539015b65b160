//go:build unix

package workerkill_test

import (
	"testing"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/workerkill"
)

// One kill, but the whole of it; most of the time is the lease's.
func TestRun(t *testing.T) {
	res, err := workerkill.Run(t.Context(), check.Options{Engine: check.Postgres, N: 1, Seed: 2, Log: t.Output()})
	if err != nil || !res.Passed() || res.Takeovers == 0 || res.Verified == 0 || res.Verified != res.Acked {
		t.Errorf("%+v: %v", res, err)
	}
}
