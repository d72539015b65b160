//go:build unix

package placekit

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Waiting is one pending request.
type Waiting struct {
	ID       string
	Priority int
	At       int64 // microseconds since 1970
}

// Line is a made-up line.
type Line struct {
	Seed  int64
	All   []Waiting // by time of entry
	Order []int32   // indexes of All, in the order of the line
	Place []int32   // of each of All, from 1
}

// alphabet is that of the hub's ids.
var alphabet = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// ID makes an id as the hub makes them: the milliseconds, then what r gives.
func ID(prefix string, at int64, r *rand.Rand) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[8:], r.Uint64())
	binary.BigEndian.PutUint64(b[:8], uint64(at/1000)<<16|r.Uint64()&0xffff) //nolint:gosec // times since 1970 are positive
	var text [26]byte
	alphabet.Encode(text[:], b[:])
	return prefix + string(text[:])
}

// sameInstant is how many came at the same microsecond, so that ids decide among them.
const sameInstant = 4

// NewLine makes a line of n that ends an hour ago at the latest.
func NewLine(n int, seed int64) *Line {
	r := rand.New(rand.NewPCG(uint64(seed), 4)) //nolint:gosec // the same seed shall give the same line
	l := &Line{Seed: seed, All: make([]Waiting, n), Order: make([]int32, n), Place: make([]int32, n)}
	base := time.Now().Add(-time.Hour).Truncate(time.Second).UnixMicro() - int64(n)*1000
	// The ids are parts of one text, so that the garbage collector has no million strings to visit beside what is measured.
	var ids strings.Builder
	for i := range l.All {
		at := base + int64(i/sameInstant)*1000*sameInstant
		ids.WriteString(ID("req_", at, r))
		l.All[i] = Waiting{Priority: Class(r), At: at}
		l.Order[i] = int32(i) //nolint:gosec // a line is shorter than 2^31
	}
	for i, all := 0, ids.String(); i < n; i++ {
		size := len(all) / n
		l.All[i].ID = all[i*size : (i+1)*size]
	}
	slices.SortFunc(l.Order, func(a, b int32) int { return Compare(l.All[a], l.All[b]) })
	for at, i := range l.Order {
		l.Place[i] = int32(at + 1) //nolint:gosec // likewise
	}
	return l
}

// Class draws a priority: seven in ten normal, two high, one urgent.
func Class(r *rand.Rand) int {
	switch x := r.IntN(10); {
	case x < 7:
		return 0
	case x < 9:
		return 1
	}
	return 2
}

// Compare is the contract's order: priority descending, then time, then id.
func Compare(a, b Waiting) int {
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.At, b.At), strings.Compare(a.ID, b.ID))
}

// Token is the status token of customer i.
func (l *Line) Token(i int) string {
	raw := sha256.Sum256([]byte("proof " + strconv.FormatInt(l.Seed, 10) + "/" + strconv.Itoa(i)))
	return "kst_" + base64.RawURLEncoding.EncodeToString(raw[:])
}

// hash is how the hub stores it.
func hash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
