package obs

import (
	"context"
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kitshub/kitshub/internal/hub"
)

// Metrics counts what happens and shows it to Prometheus. It implements hub.Meter. Each instance has a registry of its own.
type Metrics struct {
	registry *prometheus.Registry

	created   *prometheus.CounterVec
	completed *prometheus.CounterVec
	failed    *prometheus.CounterVec
	duration  prometheus.Histogram
	http      *prometheus.HistogramVec
	build     *prometheus.GaugeVec
	depth     *depth
	findings  *prometheus.GaugeVec
	taken     *prometheus.CounterVec
	fillFails *prometheus.CounterVec
	pool      *poolDepth
}

// classes are the kinds of failure, so that each is there at zero before the first.
var classes = []hub.Class{hub.ClassNetwork, hub.ClassAuth, hub.ClassQuota, hub.ClassData, hub.ClassCatalog, hub.ClassBug}

// From a copied file (milliseconds) to a plan that a person works (an hour), and from a cached page to a slow one.
var (
	readyBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 1800, 3600}
	httpBuckets  = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
)

// NewMetrics makes the metrics of the contract, all at zero for these plans. A plan that a later catalog adds appears with its first request.
func NewMetrics(plans []string) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		registry:  prometheus.NewRegistry(),
		created:   counter("provisioning_requests_created_total", "Sign-ups that entered the line.", "plan"),
		completed: counter("provisioning_requests_completed_total", "Requests that became ready.", "plan"),
		failed:    counter("provisioning_requests_failed_total", "Runs that failed, by the class of the trouble.", "plan", "class"),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "provisioning_request_duration_seconds", Help: "From sign-up to ready.", Buckets: readyBuckets,
		}),
		http: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_request_duration_seconds", Help: "Answered calls by route pattern, method and class of status. Event streams count until they end.",
			Buckets: httpBuckets,
		}, []string{"route", "method", "status"}),
		build:     prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "kitshub_build_info", Help: "Always 1; the labels say what runs."}, []string{"version", "goversion"}),
		findings:  newFindings(),
		depth:     newDepth(),
		taken:     counter("provisioning_pool_taken_total", "Backends wanted from the warm pool: hit came out of it, miss had to be made.", "plan", "result"),
		fillFails: counter("provisioning_pool_failures_total", "Members of the warm pool that could not be made or removed, by the class of the trouble.", "plan", "class"),
		pool:      newPoolDepth(),
	}
	for _, p := range plans {
		m.taken.WithLabelValues(p, "hit")
		m.taken.WithLabelValues(p, "miss")
		m.created.WithLabelValues(p)
		m.completed.WithLabelValues(p)
		for _, c := range classes {
			m.failed.WithLabelValues(p, string(c))
			m.fillFails.WithLabelValues(p, string(c))
		}
	}
	m.registry.MustRegister(m.created, m.completed, m.failed, m.duration, m.http, m.build, m.depth, m.taken, m.fillFails, m.pool, m.findings,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// RequestCreated implements hub.Meter.
func (m *Metrics) RequestCreated(plan string) { m.created.WithLabelValues(plan).Inc() }

// RequestCompleted implements hub.Meter.
func (m *Metrics) RequestCompleted(plan string, took time.Duration) {
	m.completed.WithLabelValues(plan).Inc()
	m.duration.Observe(took.Seconds())
}

// RequestFailed implements hub.Meter.
func (m *Metrics) RequestFailed(plan string, class hub.Class) {
	m.failed.WithLabelValues(plan, string(class)).Inc()
}

// ObserveHTTP counts an answered call. route is a pattern, never a path: paths hold ids and tokens.
func (m *Metrics) ObserveHTTP(route, method string, status int, took time.Duration) {
	m.http.WithLabelValues(route, knownMethod(method), statusClasses[status/100%10]).Observe(took.Seconds())
}

// statusClasses are as they are usually written.
var statusClasses = [10]string{"0xx", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx", "7xx", "8xx", "9xx"}

// knownMethod keeps a caller from making a time series for each word it invents.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

// SetVersion says what runs.
func (m *Metrics) SetVersion(version string) {
	m.build.Reset()
	m.build.WithLabelValues(version, runtime.Version()).Set(1)
}

// QueueDepth counts who waits, by priority 0, 1 and 2.
type QueueDepth func(ctx context.Context) ([3]int, error)

// SetQueueDepth says who counts the line. It is asked at each scrape and has depthTimeout.
func (m *Metrics) SetQueueDepth(f QueueDepth) { m.depth.count.Store(&f) }

// Handler serves the metrics. One that cannot be collected is left out and the others are still served.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// depthTimeout bounds the count; a scrape waits ten seconds at most by default.
const depthTimeout = 2 * time.Second

// depth collects provisioning_queue_depth at scrape time: zero while nobody counts, and absent (with an error counted) when the database
// does not answer, since an old number would look like a line that stands still.
type depth struct {
	desc   *prometheus.Desc
	errors prometheus.Counter
	count  atomic.Pointer[QueueDepth]
}

func newDepth() *depth {
	return &depth{
		desc:   prometheus.NewDesc("provisioning_queue_depth", "Requests that wait in the line, by priority (2 is first).", []string{"priority"}, nil),
		errors: prometheus.NewCounter(prometheus.CounterOpts{Name: "provisioning_queue_depth_errors_total", Help: "Scrapes at which the line could not be counted."}),
	}
}

// Describe implements prometheus.Collector.
func (d *depth) Describe(ch chan<- *prometheus.Desc) {
	ch <- d.desc
	d.errors.Describe(ch)
}

// Collect implements prometheus.Collector.
func (d *depth) Collect(ch chan<- prometheus.Metric) {
	defer d.errors.Collect(ch)
	var n [3]int
	if count := d.count.Load(); count != nil {
		ctx, cancel := context.WithTimeout(context.Background(), depthTimeout)
		defer cancel()
		var err error
		if n, err = (*count)(ctx); err != nil {
			d.errors.Inc()
			return
		}
	}
	for p, waiting := range n {
		ch <- prometheus.MustNewConstMetric(d.desc, prometheus.GaugeValue, float64(waiting), strconv.Itoa(p))
	}
}
