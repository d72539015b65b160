package obs

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kitshub/kitshub/internal/hub"
)

// newFindings is zero from the start: before the first scan nothing is known to be wrong.
func newFindings() *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "provisioning_reconcile_findings",
		Help: "What the latest scan of this hub found at the providers and on record that do not agree, and left: orphan, ghost or mismatch. Sum over the hubs.",
	}, []string{"kind"})
	for _, k := range hub.FindingKinds {
		g.WithLabelValues(k)
	}
	return g
}

// Reconciled implements hub.Meter.
func (m *Metrics) Reconciled(left map[string]int) {
	for _, k := range hub.FindingKinds {
		m.findings.WithLabelValues(k).Set(float64(left[k]))
	}
}
