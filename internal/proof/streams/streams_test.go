//go:build unix

package streams_test

import (
	"io"
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

// The figure with a tenth of the promised streams, and the bare server's in the same run.
func BenchmarkProof(b *testing.B) {
	for b.Loop() {
		res, err := streams.Run(b.Context(), check.Options{Engine: check.SQLite, N: 1000, Seed: 2, Log: io.Discard})
		if err != nil || !res.Passed() {
			b.Fatalf("%+v: %v", res, err)
		}
		b.ReportMetric(res.PushP99MS, "push-p99-ms")
		b.ReportMetric(res.BareP99MS, "bare-push-p99-ms")
		b.ReportMetric(res.KB, "KB/stream")
		b.ReportMetric(res.BareKB, "bare-KB/stream")
	}
}
