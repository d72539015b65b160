package web

import "net/http"

// MaxBody is the largest accepted body: 1 MiB is a hundred times the largest real one.
const MaxBody = 1 << 20

// BodyLimit makes reading more than limit bytes of the body fail with *http.MaxBytesError. It changes the request in place, so that the
// access log still sees the pattern that the mux writes into it; Calls made it our own copy.
func BodyLimit(limit int64) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Body != nil && r.Body != http.NoBody {
				r.Body = http.MaxBytesReader(w, r.Body, limit)
			}
			next.ServeHTTP(w, r)
		})
	}
}
