package obs

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kitshub/kitshub/internal/hub"
)

// Metrics implements hub.Meter and the HTTP measurements on a registry of its own.
type Metrics struct {
	registry  *prometheus.Registry
	created   *prometheus.CounterVec
	completed *prometheus.CounterVec
	failed    *prometheus.CounterVec
	took      prometheus.Histogram
	http      *prometheus.HistogramVec
}

// NewMetrics registers everything. The plans' series are there from the start at zero, so that a rate can be taken from the first event.
func NewMetrics(plans []string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		created: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "provisioning_requests_created_total", Help: "Sign-ups that entered the line.",
		}, []string{"plan"}),
		completed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "provisioning_requests_completed_total", Help: "Requests whose database is ready and was probed.",
		}, []string{"plan"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "provisioning_requests_failed_total", Help: "Failed attempts, by class of failure.",
		}, []string{"plan", "class"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "provisioning_request_duration_seconds", Help: "From sign-up to ready.",
			Buckets: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400},
		}),
		http: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_request_duration_seconds", Help: "Answered calls by route pattern.",
			Buckets: []float64{0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30},
		}, []string{"route", "method", "status"}),
	}
	m.registry.MustRegister(m.created, m.completed, m.failed, m.took, m.http,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	for _, p := range plans {
		m.created.WithLabelValues(p)
		m.completed.WithLabelValues(p)
		for _, c := range []hub.Class{hub.ClassNetwork, hub.ClassAuth, hub.ClassQuota, hub.ClassData, hub.ClassCatalog, hub.ClassBug} {
			m.failed.WithLabelValues(p, string(c))
		}
	}
	return m
}

// RequestCreated implements hub.Meter.
func (m *Metrics) RequestCreated(plan string) { m.created.WithLabelValues(plan).Inc() }

// RequestCompleted implements hub.Meter.
func (m *Metrics) RequestCompleted(plan string, took time.Duration) {
	m.completed.WithLabelValues(plan).Inc()
	m.took.Observe(took.Seconds())
}

// RequestFailed implements hub.Meter.
func (m *Metrics) RequestFailed(plan string, class hub.Class) {
	m.failed.WithLabelValues(plan, string(class)).Inc()
}

// ObserveHTTP counts an answered call. route is a pattern, never a path: paths can hold tokens.
func (m *Metrics) ObserveHTTP(route, method string, status int, d time.Duration) {
	m.http.WithLabelValues(route, method, strconv.Itoa(status)).Observe(d.Seconds())
}

// scrapeTime bounds what a scrape may ask of the database.
const scrapeTime = 3 * time.Second

// WatchQueue shows the depth of the line by priority, asked for at each scrape. When it cannot be known the series are left out: a wrong
// zero would hide an outage.
func (m *Metrics) WatchQueue(depth func(context.Context) ([3]int, error)) {
	m.registry.MustRegister(queueDepth{depth})
}

type queueDepth struct {
	depth func(context.Context) ([3]int, error)
}

var depthDesc = prometheus.NewDesc("provisioning_queue_depth", "Pending requests by priority.", []string{"priority"}, nil)

// Describe implements prometheus.Collector.
func (queueDepth) Describe(ch chan<- *prometheus.Desc) { ch <- depthDesc }

// Collect implements prometheus.Collector.
func (q queueDepth) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	n, err := q.depth(ctx)
	if err != nil {
		return
	}
	for p, v := range n {
		ch <- prometheus.MustNewConstMetric(depthDesc, prometheus.GaugeValue, float64(v), strconv.Itoa(p))
	}
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}
