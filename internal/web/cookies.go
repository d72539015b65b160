package web

import (
	"net/http"
	"strings"

	"github.com/kitshub/kitshub/internal/hub"
)

// Cookies sets, clears and reads the operators' session cookie. The zero value is for plain http.
type Cookies struct{ https bool }

// NewCookies looks at the scheme of PUBLIC_URL: on https the cookie is Secure and has the __Host- prefix, so no other host or path can set
// it; on (loopback) http browsers refuse that prefix, so the name is plain.
func NewCookies(publicURL string) Cookies {
	return Cookies{https: IsHTTPS(publicURL)}
}

// IsHTTPS reports whether a public URL is served over TLS.
func IsHTTPS(publicURL string) bool {
	return strings.HasPrefix(strings.ToLower(publicURL), "https://")
}

// Name gives the cookie's name.
func (c Cookies) Name() string {
	if c.https {
		return "__Host-kitshub"
	}
	return "kitshub"
}

// Set gives the browser a session token.
func (c Cookies) Set(w http.ResponseWriter, token string) {
	http.SetCookie(w, c.cookie(token, int(hub.SessionAbsolute.Seconds())))
}

// Clear takes it away.
func (c Cookies) Clear(w http.ResponseWriter) { http.SetCookie(w, c.cookie("", -1)) }

// Read gives the session token of a request, or "".
func (c Cookies) Read(r *http.Request) string {
	k, err := r.Cookie(c.Name())
	if err != nil {
		return ""
	}
	return k.Value
}

func (c Cookies) cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure wherever PUBLIC_URL is https; on loopback http the browser would not send it back
		Name: c.Name(), Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, Secure: c.https, SameSite: http.SameSiteLaxMode,
	}
}
