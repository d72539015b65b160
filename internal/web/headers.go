package web

import "net/http"

// CSP is the content security policy of every answer: own files only, no inline script or style, no frames.
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// Headers sets what browsers shall hold to. HSTS only where PUBLIC_URL is https: on http it would be ignored, and behind a wrong setting it
// would lock people out for a year.
func Headers(https bool) Middleware {
	fixed := http.Header{}
	fixed.Set("Content-Security-Policy", CSP)
	fixed.Set("X-Content-Type-Options", "nosniff")
	fixed.Set("Referrer-Policy", "no-referrer") // status and setup links carry a token in their path
	fixed.Set("Cross-Origin-Opener-Policy", "same-origin")
	fixed.Set("Cross-Origin-Resource-Policy", "same-origin")
	if https {
		fixed.Set("Strict-Transport-Security", "max-age=31536000")
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			for name, value := range fixed {
				h[name] = value[:1:1] // shared by all answers: who adds to one gets a copy
			}
			next.ServeHTTP(w, r)
		})
	}
}
