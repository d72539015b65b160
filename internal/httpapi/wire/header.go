package wire

import (
	"net/http"
	"strings"

	"github.com/kitshub/kitshub/internal/hub"
)

// Bearer gives the token of the Authorization header; given is false where there is no such header. One that is not understood is UNAUTHENTICATED.
func Bearer(r *http.Request) (token string, given bool, err error) {
	h := r.Header.Values("Authorization")
	if len(h) == 0 {
		return "", false, nil
	}
	scheme, token, _ := strings.Cut(strings.TrimSpace(h[0]), " ")
	token = strings.TrimSpace(token)
	if len(h) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsAny(token, " \t") {
		return "", true, hub.E(hub.CodeUnauthenticated, "The Authorization header is not understood.", "Send one header: Authorization: Bearer <token>.")
	}
	return token, true, nil
}

// IdempotencyKey reads the Idempotency-Key, quoted (as in the IETF draft) or bare; both forms of one text are the same key. given is false where
// there is no such header; a malformed one is INVALID_FIELD.
func IdempotencyKey(r *http.Request) (key string, given bool, err error) {
	h := r.Header.Values("Idempotency-Key")
	if len(h) == 0 {
		return "", false, nil
	}
	key, ok := strings.Trim(h[0], " \t"), len(h) == 1
	if strings.HasPrefix(key, `"`) {
		key, ok = unquote(key)
		ok = ok && len(h) == 1
	}
	for _, b := range []byte(key) {
		ok = ok && b >= ' ' && b <= '~'
	}
	if !ok || key == "" || len(key) > 255 {
		return "", true, fieldError(hub.CodeInvalidField, "Idempotency-Key", "The Idempotency-Key is malformed.", "Send one header of 1–255 printable ASCII characters, quoted or bare.")
	}
	return key, true, nil
}

// unquote reads a string of RFC 8941.
func unquote(s string) (string, bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), i == len(s)-1
		case '\\':
			i++
			if i == len(s) || (s[i] != '"' && s[i] != '\\') {
				return "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", false
}
