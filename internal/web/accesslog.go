package web

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// statusClientGone is what log and metrics show where the caller left before the answer (as nginx does). It is never sent.
const statusClientGone = 499

// Observe is told of each answered call, for metrics. route is a pattern, never a path.
type Observe func(route, method string, status int, took time.Duration)

// AccessLog writes one line for each call and tells observe (may be nil). It never writes a path or a query, because they may hold tokens.
func AccessLog(log *slog.Logger, observe Observe) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			c := callFrom(r.Context())
			rec := record(c, w)
			defer func() {
				// Also on the way out of a panic (http.ErrAbortHandler): a cut connection is a line too.
				report(log, observe, c, rec, r, start)
			}()
			next.ServeHTTP(rec, r)
		})
	}
}

// report writes what was answered, or leaves it to the stream that goes on without its handler.
func report(log *slog.Logger, observe Observe, c *call, rec *recorder, r *http.Request, start time.Time) {
	a := answered{method: knownMethod(r.Method), status: rec.status, bytes: rec.bytes, took: time.Since(start)}
	if c != nil {
		a.id, a.trace = c.id[0], c.traceID
		a.route, a.actor = c.seen()
	}
	if a.route == "" { // the outer ServeMux writes its match into the request it was given
		a.route = r.Pattern
		if _, path, found := strings.Cut(a.route, " "); found {
			a.route = path
		}
	}
	if a.route == "" {
		a.route = "unmatched"
	}
	if c != nil && c.after != nil {
		c.after.begin(a.later(log, observe, start)) //nolint:contextcheck // the request's context has ended by then
		return
	}
	switch gone := r.Context().Err() != nil; {
	case gone && (a.status == 0 || a.status == http.StatusServiceUnavailable):
		a.status = statusClientGone
	case a.status == 0:
		a.status = http.StatusOK
	}
	a.tell(r.Context(), log, observe)
}

// answered is what is written of a call.
type answered struct {
	method, route, actor, id, trace string
	status                          int
	bytes                           int64
	took                            time.Duration
}

// later is tell at the end of a stream.
func (a answered) later(log *slog.Logger, observe Observe, start time.Time) func(bytes int64) {
	return func(bytes int64) {
		a.status, a.bytes, a.took = http.StatusOK, bytes, time.Since(start)
		a.tell(context.Background(), log, observe)
	}
}

func (a *answered) tell(ctx context.Context, log *slog.Logger, observe Observe) {
	if observe != nil {
		observe(a.route, a.method, a.status, a.took)
	}
	level := slog.LevelInfo
	switch a.route {
	case "/livez", "/readyz", "/metrics": // asked every few seconds by machines
		level = slog.LevelDebug
	}
	if !log.Enabled(ctx, level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 8),
		slog.String("method", a.method), slog.String("route", a.route), slog.Int("status", a.status),
		slog.Float64("duration_ms", float64(a.took.Microseconds())/1000), slog.Int64("bytes", a.bytes), slog.String("request_id", a.id))
	if a.trace != "" {
		attrs = append(attrs, slog.String("trace_id", a.trace))
	}
	if a.actor != "" {
		attrs = append(attrs, slog.String("actor", a.actor))
	}
	log.LogAttrs(ctx, level, "http", attrs...)
}

// knownMethod keeps invented methods out of metrics.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "OTHER"
}
