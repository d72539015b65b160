//go:build unix

package indexstart_test

import (
	"os"
	"testing"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/indexstart"
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
	res, err := indexstart.Run(t.Context(), check.Options{Engine: check.SQLite, N: 300, Seed: 2, Log: t.Output()})
	if err != nil || !res.Passed() || res.MS <= 0 || res.Answers == 0 {
		t.Errorf("%+v: %v", res, err)
	}
}
