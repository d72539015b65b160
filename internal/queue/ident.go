package queue

import (
	"maps"
	"math/bits"
	"strings"
	"sync"
)

// ident is an id in 16 bytes: the 128 bits of the hub's own form, whose order is that of the text, or {0, number in the side table}.
type ident struct{ hi, lo uint64 }

// isText reports that the side table has the text. Ids of the hub's form begin with the milliseconds since 1970 in 48 bits, so their upper
// half is zero only within the first 0 ms of 1970; those few go to the side table as well, which keeps the two forms apart without a flag.
func (d ident) isText() bool { return d.hi == 0 }

const (
	idPrefix = "req_"
	idDigits = 26
	idLength = len(idPrefix) + idDigits

	// Crockford's base 32 in lower case. Its characters ascend in ASCII, therefore the order of the texts is the order of the bits; the
	// package hub makes ids with the same alphabet.
	alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

	notADigit = 0xff
)

// digits is the value of each character.
var digits = func() (d [256]uint8) {
	for i := range d {
		d[i] = notADigit
	}
	for i := range len(alphabet) {
		d[alphabet[i]] = uint8(i) //nolint:gosec // 0 to 31
	}
	return d
}()

// parseIdent reads an id of the hub's form; false for any other text. 26 digits of five bits are 130 bits, of which the last two must be
// zero: otherwise two texts would be one id.
func parseIdent(s string) (ident, bool) {
	if len(s) != idLength || s[:len(idPrefix)] != idPrefix {
		return ident{}, false
	}
	t := s[len(idPrefix):idLength]
	var hi, lo uint64
	var seen uint8
	for i := range 12 {
		d := digits[t[i]]
		seen |= d
		hi = hi<<5 | uint64(d&31)
	}
	middle := digits[t[12]]
	seen |= middle
	hi = hi<<4 | uint64(middle&31)>>1
	lo = uint64(middle & 1)
	for i := 13; i < idDigits-1; i++ {
		d := digits[t[i]]
		seen |= d
		lo = lo<<5 | uint64(d&31)
	}
	last := digits[t[idDigits-1]]
	seen |= last
	lo = lo<<3 | uint64(last&31)>>2
	if seen > 31 || last&3 != 0 || hi == 0 {
		return ident{}, false
	}
	return ident{hi, lo}, true
}

// appendTo writes the text of an id of the hub's form.
func (d ident) appendTo(b []byte) []byte {
	b = append(b, idPrefix...)
	for i := range 12 {
		b = append(b, alphabet[d.hi>>(59-5*i)&31])
	}
	b = append(b, alphabet[d.hi<<1&31|d.lo>>63])
	for i := range 12 {
		b = append(b, alphabet[d.lo>>(58-5*i)&31])
	}
	return append(b, alphabet[d.lo<<2&31])
}

// hash mixes by one multiplication of 64 by 64 bits, as in wyhash (Wang Yi, 2019). Customers cannot choose ids, so no secret seed is needed.
func (d ident) hash() uint64 {
	hi, lo := bits.Mul64(d.hi^0xa0761d6478bd642f, d.lo^0xe7037ed1a0b428db)
	h, l := bits.Mul64(hi^lo, 0x9e3779b97f4a7c15)
	return h ^ l
}

// texts is the side table of the ids that are not of the hub's form. Numbers are never used twice, and a dropped text can still be read by its
// number, for older views; those go when the table is replaced by a compact one and nobody looks at a line that has the old one.
type texts struct {
	mu       sync.RWMutex
	last     uint64
	byText   map[string]uint64 // of those that are known
	byNumber map[uint64]string // of those and of the dropped
}

// find gives the ident of an id; false if the side table would have to know it and does not.
func (t *texts) find(id string) (ident, bool) {
	if d, ok := parseIdent(id); ok {
		return d, true
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	n, ok := t.byText[id]
	return ident{lo: n}, ok
}

// enter gives the ident of an id and makes one if need be.
func (t *texts) enter(id string) ident {
	if d, ok := t.find(id); ok {
		return d
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byText == nil {
		t.byText, t.byNumber = map[string]uint64{}, map[uint64]string{}
	}
	id = strings.Clone(id) // the caller's may be a part of something large
	t.last++
	t.byText[id], t.byNumber[t.last] = t.last, id
	return ident{lo: t.last}
}

// drop forgets a text, if it is one.
func (t *texts) drop(d ident) {
	if !d.isText() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byText, t.byNumber[d.lo])
}

// fewDropped is how many dropped texts are not worth a new table.
const fewDropped = 1000

// compact gives a table without the dropped texts, or the same if they are few.
func (t *texts) compact() *texts {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if len(t.byNumber)-len(t.byText) <= max(fewDropped, len(t.byText)) {
		return t
	}
	c := &texts{last: t.last, byText: maps.Clone(t.byText), byNumber: make(map[uint64]string, len(t.byText))}
	for text, n := range t.byText {
		c.byNumber[n] = text
	}
	return c
}

// text gives the id as text.
func (t *texts) text(d ident) string {
	if !d.isText() {
		var b [idLength]byte
		return string(d.appendTo(b[:0]))
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byNumber[d.lo]
}

// less is the order of the texts of two ids.
func (t *texts) less(a, b ident) bool {
	if a.isText() || b.isText() {
		return t.text(a) < t.text(b)
	}
	return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo
}
