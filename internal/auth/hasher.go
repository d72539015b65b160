package auth

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"sync/atomic"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"golang.org/x/text/unicode/norm"

	"github.com/kitshub/kitshub/internal/hub"
)

const (
	// MaxPassword is the most code points a password may have. Argon2 takes any length, but a limit keeps the work of
	// normalizing and judging one bounded.
	MaxPassword = 128

	// maxPasswordBytes refuses what cannot fit MaxPassword before any work is done: a code point of NFC comes from a few
	// of 4 bytes each.
	maxPasswordBytes = MaxPassword * 16

	// MaxWaiting is how many checks may wait for their turn. At about 0.1 s each, more would wait for longer than a
	// person does, while holding their connections.
	MaxWaiting = 64
)

// params cost about 0.1 s and 64 MiB: more than each row of OWASP's password storage cheat sheet for Argon2id
// (m=46 MiB t=1, m=19 MiB t=2, p=1). One lane, because logins run side by side and the lanes would only compete.
var params = argon2id.Params{Memory: 64 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// What a stored hash may ask for at most, so that somebody who can write the database cannot have the hub use all its
// memory or time at a login.
const (
	storedMemoryMax     = 256 << 10 // KiB
	storedIterationsMax = 16
	storedKeyMax        = 64 // bytes
)

// Hasher hashes and verifies passwords with Argon2id, a bounded number at a time: each takes 64 MiB. It is safe for
// concurrent use.
type Hasher struct {
	params  argon2id.Params
	turns   chan struct{}
	waiting atomic.Int64
	dummy   string // a well-formed hash that no password matches
}

// NewHasher makes a Hasher that works on at most parallel passwords at once (64 MiB each, two when parallel is below 1).
func NewHasher(parallel int) *Hasher {
	if parallel < 1 {
		parallel = 2
	}
	return newHasher(params, parallel)
}

// NewHasherForTests makes a Hasher whose hashes cost a microsecond and protect nothing. Hashes of the one verify with the
// other, and are then reported as due for a new hash.
func NewHasherForTests() *Hasher {
	return newHasher(argon2id.Params{Memory: 8, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}, 4)
}

func newHasher(p argon2id.Params, parallel int) *Hasher {
	noise := make([]byte, p.SaltLength+p.KeyLength)
	rand.Read(noise) //nolint:errcheck,gosec // never fails since Go 1.24: it ends the process instead
	b64 := base64.RawStdEncoding.EncodeToString
	dummy := fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", p.Memory, p.Iterations, p.Parallelism, b64(noise[:p.SaltLength]), b64(noise[p.SaltLength:]))
	return &Hasher{params: p, turns: make(chan struct{}, parallel), dummy: dummy}
}

// Hash gives the encoded hash ("$argon2id$v=19$m=…,t=…,p=…$salt$key") to store. It refuses PASSWORD_TOO_LONG (over
// MaxPassword code points) and, when too many wait already, UNAVAILABLE. It judges nothing else: see CheckPassword.
func (h *Hasher) Hash(password string) (string, error) {
	password, ok := normalize(password)
	if !ok {
		return "", tooLong()
	}
	done, err := h.turn()
	if err != nil {
		return "", err
	}
	defer done()
	encoded, err := argon2id.CreateHash(password, &h.params)
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	return encoded, nil
}

// Verify reports whether password is the one that encoded was made from, in constant time, and whether encoded should be
// made anew because it was made with other parameters than today's (only when ok). A password over MaxPassword is simply
// wrong. Errors: UNAVAILABLE when too many wait; anything else means that encoded is damaged.
func (h *Hasher) Verify(password, encoded string) (ok, rehash bool, err error) {
	password, fits := normalize(password)
	if !fits {
		return false, false, nil // the same for known and unknown users, so it tells nothing
	}
	stored, _, _, err := argon2id.DecodeHash(encoded)
	if err != nil {
		return false, false, errors.New("the stored password hash is damaged; set the operator's password anew")
	}
	if stored.Memory > storedMemoryMax || stored.Iterations < 1 || stored.Iterations > storedIterationsMax ||
		stored.Parallelism < 1 || stored.SaltLength < 8 || stored.KeyLength < 16 || stored.KeyLength > storedKeyMax {
		return false, false, errors.New("the stored password hash has parameters out of bounds; set the operator's password anew")
	}
	done, err := h.turn()
	if err != nil {
		return false, false, err
	}
	defer done()
	ok, used, err := argon2id.CheckHash(password, encoded)
	if err != nil {
		return false, false, errors.New("the stored password hash is damaged; set the operator's password anew")
	}
	return ok, ok && *used != h.params, nil
}

// DummyVerify does the work of a Verify that fails, for a login with an unknown email: without it the answer would come
// sooner and tell which emails exist. Its error is the one Verify would give (UNAVAILABLE), to be answered alike.
func (h *Hasher) DummyVerify(password string) error {
	_, _, err := h.Verify(password, h.dummy)
	return err
}

// turn waits until one more password may be worked on.
func (h *Hasher) turn() (done func(), err error) {
	if h.waiting.Add(1) > int64(MaxWaiting+cap(h.turns)) {
		h.waiting.Add(-1)
		return nil, hub.E(hub.CodeUnavailable, "Too many logins are being checked right now.", "Nothing was changed; try again in a few seconds.")
	}
	h.turns <- struct{}{}
	return func() {
		<-h.turns
		h.waiting.Add(-1)
	}, nil
}

// normalize gives the password in NFC. It is false if it has more than MaxPassword code points.
func normalize(password string) (string, bool) {
	if len(password) > maxPasswordBytes {
		return "", false
	}
	password = norm.NFC.String(password)
	return password, utf8.RuneCountInString(password) <= MaxPassword
}

func tooLong() *hub.Error {
	return hub.FieldError(hub.CodePasswordTooLong, "password", fmt.Sprintf("The password has more than %d characters.", MaxPassword), "Use a shorter one.")
}
