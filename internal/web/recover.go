package web

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
)

// Recover turns a panic into a log entry with its stack and whatever fail answers. Where the answer had begun it cannot be taken back; then
// the connection is cut, so that the caller does not take half an answer for a whole one.
func Recover(log *slog.Logger, fail http.HandlerFunc) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec, ok := w.(*recorder)
			if !ok {
				rec = &recorder{ResponseWriter: w}
			}
			defer func() { //nolint:contextcheck // fail is given the request, and its context with it
				p := recover()
				if p == nil {
					return
				}
				if p == http.ErrAbortHandler { //nolint:errorlint // the sentinel is panicked with as it is
					panic(p)
				}
				log.ErrorContext(r.Context(), "a handler panicked", "panic", fmt.Sprint(p), "request_id", RequestID(r.Context()), "stack", string(debug.Stack()))
				if rec.status != 0 {
					panic(http.ErrAbortHandler)
				}
				fail(rec, r)
			}()
			next.ServeHTTP(rec, r)
		})
	}
}
