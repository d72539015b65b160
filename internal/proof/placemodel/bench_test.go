//go:build unix

package placemodel

import (
	"io"
	"testing"

	"github.com/kitshub/kitshub/internal/proof/check"
)

// A hundredth of the promised moves on three hubs: how many a second are made and how soon every hub tells them, with none told wrong.
func BenchmarkProof(b *testing.B) {
	for b.Loop() {
		res, err := Run(b.Context(), check.Options{Engine: check.Postgres, N: 1000, Seed: 2, Log: io.Discard})
		if err != nil || !res.Passed() {
			b.Fatalf("%+v: %v", res, err)
		}
		b.ReportMetric(res.PerS, "moves/s")
		b.ReportMetric(res.LiveP95MS, "live-p95-ms")
		b.ReportMetric(float64(res.Wrong), "wrong")
	}
}
