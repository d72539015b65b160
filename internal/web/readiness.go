package web

// Health is how a part of the hub, or all of it, is.
type Health string

// The three answers of /readyz.
const (
	OK       Health = "ok"
	Degraded Health = "degraded" // works, with less
	Down     Health = "down"     // something needed is gone: 503
)

// Readiness is the answer of /readyz.
type Readiness struct {
	Status Health           `json:"status" enum:"ok,degraded,down" doc:"The worst that matters: down answers 503."`
	Checks map[string]Check `json:"checks" doc:"Each part the hub works with."`
}

// Check is how one part is.
type Check struct {
	Status    Health  `json:"status" enum:"ok,degraded,down" doc:"How the part is."`
	LatencyMS float64 `json:"latency_ms" doc:"How long it took to answer, in milliseconds."`
	Detail    string  `json:"detail,omitempty" doc:"What is wrong, fit for strangers."`
}
