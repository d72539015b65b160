//go:build unix

package place_test

import (
	"os"
	"testing"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/place"
	"github.com/kitshub/kitshub/internal/proof/placekit"
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
	res, err := place.Run(t.Context(), check.Options{Engine: check.SQLite, N: 2000, Seed: 2, Log: t.Output()})
	if err != nil || !res.Passed() || res.PerS <= 0 || res.RatioSQL <= 1 || res.InsertsPerS <= 0 || res.Compared == 0 || res.IndexMB <= 0 {
		t.Errorf("%+v: %v", res, err)
	}
}

// A change that is lost is found.
func TestPlantedBug(t *testing.T) {
	res, err := place.Run(t.Context(), check.Options{Engine: check.SQLite, N: 2000, Seed: 2, Log: t.Output(), Sabotage: true})
	if err != nil || res.Count() == 0 {
		t.Errorf("%+v: %v", res, err)
	}
}
