package auth

import (
	"bytes"
	"crypto/sha256"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kitshub/kitshub/internal/hub"
)

func codes(e *hub.Error) []hub.Code {
	if e == nil {
		return nil
	}
	var got []hub.Code
	for _, f := range e.Fields {
		got = append(got, f.Code)
	}
	return got
}

func TestPolicy(t *testing.T) {
	const (
		short, long, comm, ident    = hub.CodePasswordTooShort, hub.CodePasswordTooLong, hub.CodePasswordCommon, hub.CodePasswordContainsIdentity
		upper, lower, digit, specia = hub.CodePasswordNeedsUpper, hub.CodePasswordNeedsLower, hub.CodePasswordNeedsDigit, hub.CodePasswordNeedsSpecial
	)
	who := []string{"ann.o'hara@example.com", "Ann O'Hara-Müller", "Blue Kettle GmbH"}
	length, second, complexity := Policy{}, Policy{SecondFactor: true}, Policy{Complexity: true}
	for _, tc := range []struct {
		name     string
		policy   Policy
		password string
		want     []hub.Code
	}{
		{"words", length, "seven quiet lanterns drift", nil},
		{"random of 16", length, "x7Kp2mQ9vLr4TzBn", nil},
		{"exactly 15", length, "lantern drift 7", nil},
		{"14", length, "lantern drift ", []hub.Code{short}},
		{"8 with a second factor", second, "vR4!pq9z", nil},
		{"7 with a second factor", second, "vR4!pq9", []hub.Code{short}},
		{"code points, not bytes", length, "ääöüßłñçżőåœøþ", []hub.Code{short}}, // 14 of two bytes each
		{"decomposed counts as composed", length, "a\u0308o\u0308u\u0308 z\u0308 quiet", []hub.Code{short}},
		{"another script", length, "тихий фонарь плывёт", nil},
		{"most", length, strings.Repeat("lantern drift 7 ", 8)[:127] + "x", nil},
		{"too long", length, strings.Repeat("lantern drift 7 ", 8) + "y", []hub.Code{long}},
		{"megabyte", complexity, strings.Repeat("a", 1<<20), []hub.Code{long}},
		{"empty", length, "", []hub.Code{short}},
		{"common and short", length, "password", []hub.Code{short, comm}},
		{"common and long", length, "passwordpassword123", []hub.Code{comm}},
		{"leet", length, "P@ssw0rdP@ssw0rd", []hub.Code{comm}},
		{"keyboard", length, "qwertyuiopasdfgh", []hub.Code{comm}},
		{"walk", length, "1Qaz2wsx3edc4rfv", []hub.Code{comm}},
		{"one character", length, "ааааааааааааааааа", []hub.Code{comm}}, // Cyrillic
		{"block over and over", length, "vR4!pvR4!pvR4!pv", []hub.Code{comm}},
		{"digits in a row", length, "123456789012345", []hub.Code{comm}},
		{"alphabet backwards", length, "ponmlkjihgfedcba", []hub.Code{comm}},
		{"another alphabet", length, "абвгдежзийклмноп", []hub.Code{comm}},
		{"name", length, "seven O'HARA lanterns", []hub.Code{ident}},
		{"umlaut of a name", length, "seven mu\u0308ller lanterns", []hub.Code{ident}},
		{"company", length, "seven kettle lanterns", []hub.Code{ident}},
		{"company without gaps", length, "xx bluekettlegmbh yy zz", []hub.Code{ident}},
		{"product", length, "seven KiTSHub lanterns", []hub.Code{ident}},
		{"short name counts not", length, "seven banners drifting", nil},
		{"domain counts not", length, "an example of lanterns", nil},
		{"complexity met", complexity, "Seven quiet lanterns 7", nil},
		{"complexity of nothing", complexity, "", []hub.Code{short, upper, lower, digit, specia}},
		{"complexity of lower", complexity, "sevenquietlanterns", []hub.Code{upper, digit, specia}},
		{"everything at once", complexity, "kettle", []hub.Code{short, comm, ident, upper, digit, specia}},
		{"umlauts are letters", complexity, "Übergroße7lanterns", []hub.Code{specia}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := tc.policy.Check(tc.password, who...)
			if diff := cmp.Diff(tc.want, codes(e)); diff != "" {
				t.Error(diff)
			}
			if e == nil {
				return
			}
			if e.Code != hub.CodeWeakPassword || e.Field != "password" {
				t.Errorf("%s at %q", e.Code, e.Field)
			}
			for _, f := range e.Fields {
				if f.Field != "password" || f.Message == "" || f.Fix == "" {
					t.Errorf("incomplete: %+v", f)
				}
				if len(tc.password) > 3 && tc.password != "password" && strings.Contains(f.Error(), tc.password) {
					t.Errorf("%s shows the password", f.Code)
				}
			}
		})
	}
}

func TestPolicyByName(t *testing.T) {
	if e := CheckPassword(PolicyLength, "seven quiet lanterns"); e != nil {
		t.Error(e)
	}
	want := []hub.Code{hub.CodePasswordNeedsUpper, hub.CodePasswordNeedsDigit}
	if diff := cmp.Diff(want, codes(CheckPassword(PolicyComplexity, "seven quiet lanterns"))); diff != "" {
		t.Error(diff)
	}
}

// TestNoInputStopsTheJudge: any text is judged, in bounded time and without a panic of the libraries below.
func TestNoInputStopsTheJudge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		password := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 200), func(b []byte) string { return string(b) })).Draw(t, "password")
		e := Policy{Complexity: true}.Check(password, rapid.String().Draw(t, "identity"))
		if e != nil && len(e.Fields) == 0 {
			t.Fatal("weak without a reason")
		}
	})
}

func TestHashAndVerify(t *testing.T) {
	cheap := NewHasherForTests()
	encoded, err := cheap.Hash("seven quiet l\u00e4nterns")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, password string
		want           bool
	}{
		{"the same", "seven quiet l\u00e4nterns", true},
		{"decomposed", "seven quiet la\u0308nterns", true},
		{"another", "seven quiet lanterns", false},
		{"a space more", "seven quiet l\u00e4nterns ", false},
		{"empty", "", false},
		{"too long", strings.Repeat("a", MaxPassword+1), false},
		{"a megabyte", strings.Repeat("a", 1<<20), false},
	} {
		if ok, rehash, err := cheap.Verify(tc.password, encoded); ok != tc.want || rehash || err != nil {
			t.Errorf("%s: %v, %v, %v", tc.name, ok, rehash, err)
		}
	}
	if again, err := cheap.Hash("seven quiet l\u00e4nterns"); err != nil || again == encoded {
		t.Error("no salt")
	}
	if _, err := cheap.Hash(strings.Repeat("ä", MaxPassword+1)); !hub.IsCode(err, hub.CodePasswordTooLong) {
		t.Error(err)
	}
}

// TestRealParameters runs the real thing once each: a cheaply made hash verifies and is due for a new one, the new one is not.
func TestRealParameters(t *testing.T) {
	h := NewHasher(0)
	old, err := NewHasherForTests().Hash("seven quiet lanterns")
	if err != nil {
		t.Fatal(err)
	}
	if ok, rehash, err := h.Verify("seven quiet lanterns", old); !ok || !rehash || err != nil {
		t.Error(ok, rehash, err)
	}
	if ok, rehash, err := h.Verify("wrong", old); ok || rehash || err != nil {
		t.Error(ok, rehash, err)
	}
	encoded, err := h.Hash("seven quiet lanterns")
	if err != nil || !strings.HasPrefix(encoded, "$argon2id$v=19$m=65536,t=2,p=1$") {
		t.Error(encoded, err)
	}
	if ok, rehash, err := h.Verify("seven quiet lanterns", encoded); !ok || rehash || err != nil {
		t.Error(ok, rehash, err)
	}
	if err := h.DummyVerify("seven quiet lanterns"); err != nil {
		t.Error(err)
	}
	if ok, rehash, err := h.Verify("", h.dummy); ok || rehash || err != nil {
		t.Error(ok, rehash, err)
	}
}

func TestDamagedHashes(t *testing.T) {
	h := NewHasherForTests()
	good, err := h.Hash("x")
	if err != nil {
		t.Fatal(err)
	}
	for _, encoded := range []string{
		"", "x", "$2b$10$abc", strings.Replace(good, "argon2id", "argon2i", 1), strings.Replace(good, "v=19", "v=18", 1),
		strings.Replace(good, "t=1", "t=0", 1), strings.Replace(good, "p=1", "p=0", 1), strings.Replace(good, "t=1", "t=4000000000", 1),
		strings.Replace(good, "m=8", "m=4294967295", 1), good[:len(good)-30], good + "!",
	} {
		ok, _, err := h.Verify("x", encoded)
		if ok || err == nil || hub.CodeOf(err) != hub.CodeInternal {
			t.Errorf("%q: %v, %v", encoded, ok, err)
		}
	}
}

// TestLoginsDoNotTakeAllMemory fills all turns by hand: those who may wait do, the next is refused, known user or not.
func TestLoginsDoNotTakeAllMemory(t *testing.T) {
	h := NewHasherForTests()
	encoded, err := h.Hash("x")
	if err != nil {
		t.Fatal(err)
	}
	var dones []func()
	for range cap(h.turns) {
		done, err := h.turn()
		if err != nil {
			t.Fatal(err)
		}
		dones = append(dones, done)
	}
	h.waiting.Add(MaxWaiting - 1) // all but one of the places to wait are taken
	var wg sync.WaitGroup
	wg.Go(func() {
		if ok, _, err := h.Verify("x", encoded); !ok || err != nil {
			t.Error(ok, err)
		}
	})
	for h.waiting.Load() < int64(MaxWaiting+cap(h.turns)) { // until it waits; no time involved
		runtime.Gosched()
	}
	if _, err := h.Hash("x"); !hub.IsCode(err, hub.CodeUnavailable) {
		t.Error(err)
	}
	if _, _, err := h.Verify("x", encoded); !hub.IsCode(err, hub.CodeUnavailable) {
		t.Error(err)
	}
	if err := h.DummyVerify("x"); !hub.IsCode(err, hub.CodeUnavailable) {
		t.Error(err)
	}
	for _, done := range dones {
		done()
	}
	wg.Wait()
	h.waiting.Add(1 - MaxWaiting)
	if n := h.waiting.Load(); n != 0 {
		t.Errorf("%d places are lost", n)
	}
}

func TestTokens(t *testing.T) {
	seen := make(map[string]bool)
	for _, prefix := range []string{StatusToken, SessionToken, APIToken, SetupToken} {
		token, hash := NewToken(prefix)
		want := sha256.Sum256([]byte(token))
		if seen[token] || len(token) != 47 || !bytes.Equal(hash, want[:]) || !LooksLikeToken(prefix, token) {
			t.Errorf("%s: a token of %d characters", prefix, len(token))
		}
		seen[token] = true
		for name, wrong := range map[string]string{
			"empty": "", "cut": token[:46], "longer": token + "A", "other prefix": "xyz_" + token[4:], "no prefix": token[4:],
			"line end": token[:46] + "\n", "other alphabet": token[:46] + "+", "stray bits": token[:46] + "B",
		} {
			if LooksLikeToken(prefix, wrong) {
				t.Errorf("%s looks like one", name)
			}
		}
	}
}

func BenchmarkHash(b *testing.B) {
	h := NewHasher(1)
	for b.Loop() {
		if _, err := h.Hash("seven quiet lanterns"); err != nil {
			b.Fatal(err)
		}
	}
}
