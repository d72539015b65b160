package web

import (
	"log/slog"
	"net/http"
)

// Options of Common.
type Options struct {
	Log     *slog.Logger
	Observe Observe          // may be nil
	HTTPS   bool             // PUBLIC_URL is https
	Fail    http.HandlerFunc // answers a panic; nil: 500 as plain text
}

// Common is what every answer of the hub goes through: request id, access log, headers, recovery, body limit. Nested inside another Common
// only recovery stays, so that the inner part answers its own panics in its own form.
func Common(o Options) Middleware {
	if o.Fail == nil {
		o.Fail = func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "Something went wrong on our side. Try again.", http.StatusInternalServerError)
		}
	}
	return func(next http.Handler) http.Handler {
		inner := Recover(o.Log, o.Fail)(next)
		outer := Chain(inner, Calls(), AccessLog(o.Log, o.Observe), Headers(o.HTTPS), BodyLimit(MaxBody))
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if callFrom(r.Context()) != nil {
				inner.ServeHTTP(w, r)
				return
			}
			outer.ServeHTTP(w, r)
		})
	}
}
