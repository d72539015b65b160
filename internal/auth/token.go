package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// Prefixes of tokens: they tell people, logs' scrubbers and secret scanners what a found token is.
const (
	StatusToken  = "kst_" // a waiting customer's way to the status of a request
	SessionToken = "kss_" // an operator's session cookie
	APIToken     = "kat_" // a program's token
	SetupToken   = "kup_" // the one-time link that makes the first operator
)

// tokenBytes is 256 bits: not to be guessed, and not to be found among all tokens of all hubs.
const tokenBytes = 32

// NewToken makes a token, prefix and 43 URL-safe characters of 256 random bits, and the hash to store in its place.
func NewToken(prefix string) (token string, hash []byte) {
	raw := make([]byte, tokenBytes)
	rand.Read(raw) //nolint:errcheck,gosec // never fails since Go 1.24: it ends the process instead
	token = prefix + base64.RawURLEncoding.EncodeToString(raw)
	return token, HashToken(token)
}

// HashToken gives the 32 bytes under which a token is stored and looked up: SHA-256 of the whole token. No slow hash and
// no salt, unlike for passwords: 256 random bits cannot be guessed however fast the hash is, and the look-up needs one
// value per token. Looking up by hash also takes the comparison of secrets out of the database's hands.
func HashToken(token string) []byte {
	var room [64]byte // of the usual token, which spares a copy on the heap
	sum := sha256.Sum256(append(room[:0], token...))
	return sum[:]
}

// LooksLikeToken reports whether token has the form NewToken(prefix) gives it. It spares a look-up for what cannot be one,
// and keeps a token of one kind from being tried as another.
func LooksLikeToken(prefix, token string) bool {
	rest, ok := strings.CutPrefix(token, prefix)
	if !ok || len(rest) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return false
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	return err == nil && !strings.ContainsAny(rest, "\r\n") // the decoder skips line ends
}
