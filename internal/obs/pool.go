package obs

import (
	"context"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kitshub/kitshub/internal/hub"
)

// PoolTaken implements hub.Meter.
func (m *Metrics) PoolTaken(plan string, found bool) {
	result := "miss"
	if found {
		result = "hit"
	}
	m.taken.WithLabelValues(plan, result).Inc()
}

// PoolFailed implements hub.Meter.
func (m *Metrics) PoolFailed(plan string, class hub.Class) {
	m.fillFails.WithLabelValues(plan, string(class)).Inc()
}

// PoolDepths counts the members of the warm pool by plan.
type PoolDepths func(ctx context.Context) ([]hub.PoolDepth, error)

// SetPoolDepths says who counts the pool. It is asked at each scrape and has depthTimeout.
func (m *Metrics) SetPoolDepths(f PoolDepths) { m.pool.count.Store(&f) }

// poolDepth collects provisioning_pool_depth at scrape time, like depth: absent when the database does not answer.
type poolDepth struct {
	desc   *prometheus.Desc
	errors prometheus.Counter
	count  atomic.Pointer[PoolDepths]
}

func newPoolDepth() *poolDepth {
	return &poolDepth{
		desc: prometheus.NewDesc("provisioning_pool_depth", "Databases of the warm pool, by plan and state: ready ones are probed and never handed out.",
			[]string{"plan", "state"}, nil),
		errors: prometheus.NewCounter(prometheus.CounterOpts{Name: "provisioning_pool_depth_errors_total", Help: "Scrapes at which the pool could not be counted."}),
	}
}

// Describe implements prometheus.Collector.
func (d *poolDepth) Describe(ch chan<- *prometheus.Desc) {
	ch <- d.desc
	d.errors.Describe(ch)
}

// Collect implements prometheus.Collector.
func (d *poolDepth) Collect(ch chan<- prometheus.Metric) {
	defer d.errors.Collect(ch)
	count := d.count.Load()
	if count == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), depthTimeout)
	defer cancel()
	plans, err := (*count)(ctx)
	if err != nil {
		d.errors.Inc()
		return
	}
	for _, p := range plans {
		ch <- prometheus.MustNewConstMetric(d.desc, prometheus.GaugeValue, float64(p.Ready), p.Plan, "ready")
		ch <- prometheus.MustNewConstMetric(d.desc, prometheus.GaugeValue, float64(p.Preparing), p.Plan, "preparing")
	}
}
