//go:build unix

package placehttp_test

import (
	"os"
	"testing"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/placehttp"
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
	res, err := placehttp.Run(t.Context(), check.Options{Engine: check.SQLite, N: 500, Seed: 2, Log: t.Output()})
	if err != nil || !res.Passed() || res.Ratio <= 0 || res.Checked == 0 || res.Tokens < 500 {
		t.Errorf("%+v: %v", res, err)
	}
}
