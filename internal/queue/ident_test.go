package queue

import (
	"cmp"
	"encoding/base32"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// The order of ids is the order of their texts only if the alphabet ascends.
func TestAlphabetAscends(t *testing.T) {
	if len(alphabet) != 32 || !slices.IsSorted([]byte(alphabet)) {
		t.Fatal(alphabet)
	}
}

// The package hub makes ids with encoding/base32; ours must be the same bits.
func TestIdentIsTheStandardEncoding(t *testing.T) {
	enc := base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:8], r.Uint64())
		binary.BigEndian.PutUint64(b[8:], r.Uint64())
		text := idPrefix + enc.EncodeToString(b[:])
		d, ok := parseIdent(text)
		if !ok || d.hi != binary.BigEndian.Uint64(b[:8]) || d.lo != binary.BigEndian.Uint64(b[8:]) {
			t.Fatalf("%s: %x, %v, want %x", text, d, ok, b)
		}
		if got := string(d.appendTo(nil)); got != text {
			t.Fatalf("%s became %s", text, got)
		}
	}
}

// foreign are texts that look like ids and are kept as texts.
var foreign = []string{
	"", "req_", "a", "req_0", "ten_01hkq3v4xy00000000000000w0", "req_01hkq3v4xy00000000000000w", "req_01hkq3v4xy00000000000000w00",
	"req_01HKQ3V4XY00000000000000W0", // upper case
	"req_01hkq3v4xy00000000000000w1", // two bits too many
	"req_01hkq3v4xy0000000000000lw0", // no l in Crockford's alphabet
	"req_00000000000000000000000000", // the upper half is zero
	"req_0000000000001zzzzzzzzzzzzw", // so is that of this one

	"req_01hkq3v4xy0000000000000\x00w0",  // not a character of ours
	"req_01hkq3v4xy000000000000\u00fcw0", // nor this
	"zzz", "req~", strings.Repeat("long", 100),
}

func TestForeignIDs(t *testing.T) {
	for _, s := range foreign {
		if d, ok := parseIdent(s); ok {
			t.Errorf("%q was taken for %x", s, d)
		}
	}
	var x texts
	for _, s := range foreign {
		if d := x.enter(s); x.text(d) != s || !d.isText() || x.enter(s) != d {
			t.Errorf("%q became %q", s, x.text(d))
		}
	}
	d, _ := x.find("zzz")
	x.drop(d)
	if _, ok := x.find("zzz"); ok || x.text(d) != "zzz" || x.enter("zzz") == d {
		t.Error("a dropped text is still known, or its number was used again, or an older view has lost it")
	}
	if x.compact() != &x {
		t.Error("a new table for one dropped text")
	}
	for i := range fewDropped {
		x.drop(x.enter(strings.Repeat("x", i+1)))
	}
	c := x.compact()
	if d, ok := c.find("zzz"); !ok || c.text(d) != "zzz" || len(c.byText) != len(foreign) || len(c.byNumber) != len(foreign) {
		t.Errorf("of %d texts %d and %d are left", len(foreign), len(c.byText), len(c.byNumber))
	}
	if c.enter("new").lo != x.last+1 {
		t.Error("a number was used again")
	}
}

func FuzzIdent(f *testing.F) {
	for _, s := range foreign {
		f.Add(s, "req_01hkq3v4xy00000000000000w0")
	}
	f.Add("req_01hkq3v4xyabcdefghjkmnpqrg", "req_7zzzzzzzzzzzzzzzzzzzzzzzzw")
	f.Fuzz(func(t *testing.T, a, b string) {
		var x texts
		for _, s := range []string{a, b} {
			d := x.enter(s)
			if got := x.text(d); got != s {
				t.Fatalf("%q became %q", s, got)
			}
			if p, ok := parseIdent(s); ok && (p != d || len(s) != idLength) {
				t.Fatalf("%q: %x and %x", s, p, d)
			}
		}
		da, db := x.enter(a), x.enter(b)
		if (a == b) != (da == db) {
			t.Fatalf("%q and %q became %x and %x", a, b, da, db)
		}
		want := cmp.Compare(a, b)
		if x.less(da, db) != (want < 0) || x.less(db, da) != (want > 0) {
			t.Fatalf("the order of %q and %q is wrong", a, b)
		}
	})
}
