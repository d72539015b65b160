//go:build unix

package placehttp_test

import (
	"io"
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

// The figure at a fiftieth of the promised length, with the bare handler in the same run.
func BenchmarkProof(b *testing.B) {
	for b.Loop() {
		res, err := placehttp.Run(b.Context(), check.Options{Engine: check.Postgres, N: 20_000, Seed: 2, Log: io.Discard})
		if err != nil || !res.Passed() {
			b.Fatalf("%+v: %v", res, err)
		}
		b.ReportMetric(res.PerS, "reads/s")
		b.ReportMetric(res.BarePerS, "bare-reads/s")
		b.ReportMetric(res.Ratio, "x-bare")
	}
}
