package jobs

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// BenchmarkEnqueueToStart shows how long a committed job waits for its worker on an idle hub, as it is configured for use.
func BenchmarkEnqueueToStart(b *testing.B) {
	for _, open := range []func(testing.TB) *rig{sqliteRig, postgresRig} {
		r := open(b)
		b.Run(r.name, func(b *testing.B) {
			ran := make(chan time.Time, 1)
			c := newTest(b, r.options("a"), inUse, &worker{provision: func(context.Context, string) error { ran <- time.Now(); return nil }})
			start(b, c)
			var waits []time.Duration
			for b.Loop() {
				r.commit(b, func(tx hub.Tx) { noError(b, c.EnqueueProvision(b.Context(), tx, key(1))) })
				committed := time.Now()
				waits = append(waits, max(0, receive(b, ran, "the job").Sub(committed)))
			}
			slices.Sort(waits)
			b.ReportMetric(float64(waits[len(waits)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// BenchmarkWork shows how many jobs a second go through four workers that do nothing.
func BenchmarkWork(b *testing.B) {
	for _, open := range []func(testing.TB) *rig{sqliteRig, postgresRig} {
		r := open(b)
		b.Run(r.name, func(b *testing.B) {
			ran := make(chan struct{}, 1000)
			o := r.options("a")
			o.Workers = 4
			c := newTest(b, o, inUse, &worker{provision: func(context.Context, string) error { ran <- struct{}{}; return nil }})
			for b.Loop() {
				b.StopTimer()
				r.commit(b, func(tx hub.Tx) {
					for i := range 500 {
						noError(b, c.EnqueueProvision(b.Context(), tx, key(i)))
					}
				})
				b.StartTimer()
				noError(b, c.Start(b.Context()))
				for range 500 {
					receive(b, ran, "a job")
				}
				b.StopTimer()
				noError(b, c.Stop(b.Context()))
				b.StartTimer()
			}
			b.ReportMetric(500*float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
		})
	}
}
