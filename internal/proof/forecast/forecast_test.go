package forecast

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/kitshub/kitshub/internal/forecast/world"
	"github.com/kitshub/kitshub/internal/proof/check"
)

func TestSmall(t *testing.T) {
	for _, bug := range []bool{false, true} {
		var log bytes.Buffer
		res, err := Run(t.Context(), check.Options{Engine: check.SQLite, N: 400, Seed: 1, Sabotage: bug, Log: &log}, Flags{})
		if err != nil {
			t.Fatal(err)
		}
		if res.Passed() == bug || res.Done != 400 || len(res.Worlds) != len(world.Worlds) {
			t.Errorf("sabotage %v: passed %v, done %d, %d worlds\n%s", bug, res.Passed(), res.Done, len(res.Worlds), log.String())
		}
	}
}

func TestTrace(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, w *world.World) string {
		path := filepath.Join(dir, name)
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := w.Write(f); err != nil {
			t.Fatal(err)
		}
		return path
	}
	steady := write("steady", world.Worlds[0].Make(2, 600))
	empty := write("empty", world.Worlds[0].Make(2, 0))
	idle := write("idle", &world.World{Kind: world.Steady, Servers: []world.Staffing{{Count: 5}}, Customers: []world.Customer{{Service: 1}}})
	broken := filepath.Join(dir, "broken")
	if err := os.WriteFile(broken, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path         string
		passed, fail bool
		done         int
	}{
		{steady, true, false, 600},
		{idle, false, false, 1}, // nobody had to wait: no empty pass
		{empty, false, true, 0},
		{broken, false, true, 0},
		{filepath.Join(dir, "missing"), false, true, 0},
	} {
		var log, out bytes.Buffer
		res, err := Run(t.Context(), check.Options{N: 5, Seed: 1, Log: &log}, Flags{Trace: tt.path})
		if (err != nil) != tt.fail || res.Passed() != tt.passed || res.Done != tt.done {
			t.Errorf("%s: %v, passed %v, done %d\n%s", tt.path, err, res.Passed(), res.Done, log.String())
		}
		if err := check.Print(&out, res); err != nil || !json.Valid(out.Bytes()) {
			t.Errorf("%s: prints %q (%v)", tt.path, out.String(), err)
		}
	}
}

// The record over all our worlds, with half an hour for each ahead as the baseline.
func BenchmarkProof(b *testing.B) {
	for b.Loop() {
		res, err := Run(b.Context(), check.Options{Engine: check.SQLite, N: 5000, Seed: 2, Log: io.Discard}, Flags{})
		if err != nil || !res.Passed() {
			b.Fatalf("%+v: %v", res, err)
		}
		b.ReportMetric(res.MinCoverage, "min-p90-coverage")
		b.ReportMetric(res.MaxCoverage, "max-p90-coverage")
		b.ReportMetric(res.MaxRatio, "x-baseline-error")
	}
}
