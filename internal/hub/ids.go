package hub

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"math"
	"math/bits"
	"sync"
	"time"
)

// idAlphabet is Crockford's base 32 in lower case: no i, l, o, u, and in ascending order, so that ids sort by time.
var idAlphabet = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// lastID is the one made before, so that ids of one millisecond keep their order: a log sorted by id tells a story in the order it happened.
var lastID struct {
	sync.Mutex
	ms     uint64
	tail   [10]byte
	drawn  [512]byte // random bytes for the next ones: each call has an id, and asking the system costs more than all the rest of it
	unused []byte    // of drawn
}

// interleaved is how far apart, in milliseconds, the times may lie of transactions that run side by side.
const interleaved = 60_000

// NewID makes an opaque id: the prefix, then 26 characters of which the first ten are the time in milliseconds and the rest random. Ids that
// one process makes ascend: within a millisecond each is the one before plus a random step, and one for a transaction that began a little
// earlier than another's is given the other's time. Otherwise two entries of one transaction could change places when another's came between.
func NewID(prefix string, now time.Time) string {
	ms := uint64(now.UnixMilli()) //nolint:gosec // milliseconds since 1970 are positive
	lastID.Lock()
	if ms < lastID.ms && lastID.ms-ms <= interleaved {
		ms = lastID.ms
	}
	if ms != lastID.ms || !step(&lastID.tail) {
		random(lastID.tail[:])
		lastID.tail[0] &= 0x7f // room to ascend
		lastID.ms = ms
	}
	tail := lastID.tail
	lastID.Unlock()
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], ms<<16)
	copy(b[6:], tail[:])
	var text [64]byte
	return string(idAlphabet.AppendEncode(append(text[:0], prefix...), b[:]))
}

// step adds 1 to 2^40; false when there is no room left, which nobody will see. The caller holds lastID.
func step(tail *[10]byte) bool {
	var by [8]byte
	random(by[3:])
	low := binary.BigEndian.Uint64(tail[2:])
	sum, carry := bits.Add64(low, binary.BigEndian.Uint64(by[:])+1, 0)
	binary.BigEndian.PutUint64(tail[2:], sum)
	high := uint64(binary.BigEndian.Uint16(tail[:2])) + carry
	binary.BigEndian.PutUint16(tail[:2], uint16(high)) //nolint:gosec // the overflow is what is reported
	return high <= math.MaxUint16
}

// random fills b. The caller holds lastID.
func random(b []byte) {
	if len(lastID.unused) < len(b) {
		if _, err := rand.Read(lastID.drawn[:]); err != nil {
			panic(err) // crypto/rand never fails on supported systems
		}
		lastID.unused = lastID.drawn[:]
	}
	lastID.unused = lastID.unused[copy(b, lastID.unused):]
}
