package hub

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"time"
)

// idAlphabet is Crockford's base 32 in lower case: no i, l, o, u, and in ascending order, so that ids sort by time.
var idAlphabet = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID makes an opaque id: the prefix, then 26 characters of which the first ten are the time in milliseconds and the rest 80 random bits.
func NewID(prefix string, now time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16) //nolint:gosec // milliseconds since 1970 are positive
	if _, err := rand.Read(b[6:]); err != nil {
		panic(err) // crypto/rand never fails on supported systems
	}
	return prefix + strings.ToLower(idAlphabet.EncodeToString(b[:]))
}
