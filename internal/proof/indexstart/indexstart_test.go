//go:build unix

package indexstart_test

import (
	"io"
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

// A start at a fiftieth of the promised length.
func BenchmarkProof(b *testing.B) {
	for b.Loop() {
		res, err := indexstart.Run(b.Context(), check.Options{Engine: check.Postgres, N: 20_000, Seed: 2, Log: io.Discard})
		if err != nil || !res.Passed() {
			b.Fatalf("%+v: %v", res, err)
		}
		b.ReportMetric(float64(res.MS), "ms")
	}
}
