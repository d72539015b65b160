package web_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/kitshub/kitshub/internal/web"
)

func TestCORS(t *testing.T) {
	h := web.CORS([]string{"https://app.example"})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	for _, c := range []struct {
		name, method, origin, ask string
		status                    int
		allowed                   string
	}{
		{"listed", "GET", "https://app.example", "", http.StatusTeapot, "https://app.example"},
		{"another", "GET", "https://evil.example", "", http.StatusTeapot, ""},
		{"none", "GET", "", "", http.StatusTeapot, ""},
		{"preflight", "OPTIONS", "https://app.example", "POST", http.StatusNoContent, "https://app.example"},
		{"preflight of another", "OPTIONS", "https://evil.example", "POST", http.StatusTeapot, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), c.method, "/api/v1/plans", nil)
			r.Header.Set("Origin", c.origin)
			r.Header.Set("Access-Control-Request-Method", c.ask)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.status || w.Header().Get("Access-Control-Allow-Origin") != c.allowed {
				t.Errorf("status %d, allowed %q; want %d, %q", w.Code, w.Header().Get("Access-Control-Allow-Origin"), c.status, c.allowed)
			}
			if w.Header().Get("Access-Control-Allow-Credentials") != "" {
				t.Error("cookies are allowed across origins")
			}
		})
	}
}
