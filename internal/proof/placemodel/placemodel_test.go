//go:build unix

package placemodel_test

import (
	"os"
	"testing"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/placekit"
	"github.com/kitshub/kitshub/internal/proof/placemodel"
	"github.com/kitshub/kitshub/internal/testkit"
)

func TestMain(m *testing.M) {
	if placekit.ServeIfBare() {
		os.Exit(0)
	}
	testkit.Main(m)
}

// Small, but the whole of it.
func TestRun(t *testing.T) {
	res, err := placemodel.Run(t.Context(), check.Options{Engine: check.Postgres, N: 130, Seed: 2, Log: t.Output()})
	if err != nil || !res.Passed() || res.Wrong != 0 || res.Compared == 0 || res.Kills == 0 || res.Cut == 0 || res.Quiet < 3 {
		t.Errorf("%+v: %v", res, err)
	}
}
