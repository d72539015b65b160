package web

import (
	"net/http"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// maxRequestID is the longest X-Request-Id that is kept: room for any id in use, too short to fill a log with.
const maxRequestID = 128

// Calls begins the record of a call: its X-Request-Id (a good one is kept, else one is made; every response carries it) and the trace id
// of a W3C traceparent. It steps aside where an outer Calls has done so already.
func Calls() Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if callFrom(r.Context()) != nil {
				next.ServeHTTP(w, r)
				return
			}
			c := &call{Context: r.Context(), traceID: traceID(r.Header.Get("Traceparent"))}
			if c.id[0] = r.Header.Get("X-Request-Id"); !goodRequestID(c.id[0]) {
				c.id[0] = hub.NewID("call_", time.Now())
			}
			w.Header()["X-Request-Id"] = c.id[:]
			next.ServeHTTP(w, r.WithContext(c)) //nolint:contextcheck // it is made of the request's
		})
	}
}

func goodRequestID(s string) bool {
	if s == "" || len(s) > maxRequestID {
		return false
	}
	for i := range len(s) {
		if s[i] < '!' || s[i] > '~' {
			return false
		}
	}
	return true
}

// traceID gives the trace id of a traceparent (https://www.w3.org/TR/trace-context/), or "" where it is malformed. A later version may
// have more fields; the first four stay as they are.
func traceID(h string) string {
	if h == "" {
		return ""
	}
	p := strings.Split(h, "-")
	if len(p) < 4 || !lowerHex(p[0], 2) || p[0] == "ff" || (p[0] == "00" && len(p) != 4) {
		return ""
	}
	if !lowerHex(p[1], 32) || !lowerHex(p[2], 16) || !lowerHex(p[3], 2) || strings.Trim(p[1], "0") == "" || strings.Trim(p[2], "0") == "" {
		return ""
	}
	return p[1]
}

func lowerHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}
