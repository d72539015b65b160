package web

import (
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
				report(log, observe, c, rec, r, time.Since(start))
			}()
			next.ServeHTTP(rec, r)
		})
	}
}

func report(log *slog.Logger, observe Observe, c *call, rec *recorder, r *http.Request, took time.Duration) {
	var id, trace, route, actor string
	if c != nil {
		id, trace = c.id[0], c.traceID
		route, actor = c.seen()
	}
	if route == "" { // the outer ServeMux writes its match into the request it was given
		route = r.Pattern
		if _, path, found := strings.Cut(route, " "); found {
			route = path
		}
	}
	if route == "" {
		route = "unmatched"
	}
	method, status := knownMethod(r.Method), rec.status
	switch gone := r.Context().Err() != nil; {
	case gone && (status == 0 || status == http.StatusServiceUnavailable):
		status = statusClientGone
	case status == 0:
		status = http.StatusOK
	}
	if observe != nil {
		observe(route, method, status, took)
	}
	level := slog.LevelInfo
	switch route {
	case "/livez", "/readyz", "/metrics": // asked every few seconds by machines
		level = slog.LevelDebug
	}
	ctx := r.Context()
	if !log.Enabled(ctx, level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 8),
		slog.String("method", method), slog.String("route", route), slog.Int("status", status),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000), slog.Int64("bytes", rec.bytes), slog.String("request_id", id))
	if trace != "" {
		attrs = append(attrs, slog.String("trace_id", trace))
	}
	if actor != "" {
		attrs = append(attrs, slog.String("actor", actor))
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
