//go:build unix

package streams_test

import (
	"os"
	"testing"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/placekit"
	"github.com/kitshub/kitshub/internal/proof/streams"
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
	res, err := streams.Run(t.Context(), check.Options{Engine: check.SQLite, N: 100, Seed: 2, Log: t.Output()})
	if err != nil || !res.Passed() || res.Open != 100 || res.PushP99MS <= 0 || res.KB <= 0 || res.BareP99MS <= 0 {
		t.Errorf("%+v: %v", res, err)
	}
}
