//go:build unix

package place_test

import (
	"io"
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

// The figures at a fiftieth of the promised length, with the two SQL queries and Redis in the same run.
func BenchmarkProof(b *testing.B) {
	for b.Loop() {
		res, err := place.Run(b.Context(), check.Options{Engine: check.Postgres, N: 20_000, Seed: 2, Log: io.Discard})
		if err != nil || !res.Passed() {
			b.Fatalf("%+v: %v", res, err)
		}
		b.ReportMetric(res.PerS, "reads/s")
		b.ReportMetric(res.P99US, "p99-µs")
		b.ReportMetric(res.InsertsPerS, "inserts/s")
		b.ReportMetric(res.IndexMB, "MB")
		b.ReportMetric(res.RatioSQL, "x-SQL")
		if res.RatioRedis != nil {
			b.ReportMetric(*res.RatioRedis, "x-Redis")
		}
	}
}
