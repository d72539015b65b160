package vault

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tink-crypto/tink-go/v2/tink"
)

// Errors of Vault.Open, to be told apart by errors.Is.
var (
	// ErrSealed says that a value does not open: it was changed, belongs to another row, field or version, or is not a
	// sealed value at all. Which of these cannot be told.
	ErrSealed = errors.New("vault: the sealed value does not open: it was changed, or belongs to another place")

	// ErrUnknownKey says that the keyring has no key with the value's id: it was sealed by a newer keyring or another hub.
	ErrUnknownKey = errors.New("vault: the sealed value was made with a key that the keyring does not have")
)

// Vault seals and opens. It is safe for concurrent use; a call takes under a microsecond for short values.
type Vault struct {
	aead    tink.AEAD
	macRoot []byte
	primary uint32
	known   map[uint32]bool
}

// Sealed is a sealed value as it is stored. It prints as [sealed] by every verb, logger and encoder; store it as []byte.
type Sealed []byte

const hiddenSealed = "[sealed]"

// String hides the value.
func (Sealed) String() string { return hiddenSealed }

// GoString hides the value from %#v.
func (Sealed) GoString() string { return hiddenSealed }

// Format hides the value from every verb, %x too.
func (Sealed) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hiddenSealed)) }

// LogValue hides the value from slog.
func (Sealed) LogValue() slog.Value { return slog.StringValue(hiddenSealed) }

// MarshalJSON hides the value from JSON. There is no way back on purpose: a sealed value does not travel as JSON.
func (Sealed) MarshalJSON() ([]byte, error) { return []byte(`"` + hiddenSealed + `"`), nil }

// Seal encrypts plaintext (AES-256-GCM, a random 96-bit nonce, the keyring's primary key) and binds it to aad. It adds 33
// bytes. An error means that aad is incomplete, which is a fault of the program.
//
// Random nonces allow 2^32 seals per key (NIST SP 800-38D, 8.3); a hub that seals a hundred values a second needs a year
// and more for that, and rotation begins the count anew.
func (v *Vault) Seal(plaintext []byte, aad AAD) (Sealed, error) {
	bound, err := aad.encode()
	if err != nil {
		return nil, err
	}
	sealed, err := v.aead.Encrypt(plaintext, bound)
	if err != nil {
		return nil, fmt.Errorf("vault: seal: %w", err)
	}
	return sealed, nil
}

// Open gives the plaintext back. Errors: ErrSealed, ErrUnknownKey; neither holds any of the bytes.
func (v *Vault) Open(s Sealed, aad AAD) ([]byte, error) {
	bound, err := aad.encode()
	if err != nil {
		return nil, err
	}
	id, ok := KeyID(s)
	if !ok {
		return nil, ErrSealed
	}
	if !v.known[id] {
		return nil, fmt.Errorf("%w (id %d)", ErrUnknownKey, id)
	}
	plaintext, err := v.aead.Decrypt(s, bound)
	if err != nil { // always "authentication failed"
		return nil, ErrSealed
	}
	return plaintext, nil
}

// KeyID gives the id of the key that s was sealed with. It is false if s cannot be a sealed value.
func KeyID(s Sealed) (id uint32, ok bool) {
	if len(s) < sealedMin || s[0] != sealedPrefix {
		return 0, false
	}
	return binary.BigEndian.Uint32(s[1:5]), true
}

// PrimaryKeyID gives the id of the key that Seal uses now; a value with another id is due for sealing anew.
func (v *Vault) PrimaryKeyID() uint32 { return v.primary }

// SealBytes is Seal in plain types, for hub's port.
func (v *Vault) SealBytes(plain []byte, tenant, field string, version int64) ([]byte, error) {
	return v.Seal(plain, AAD{Tenant: tenant, Field: field, Version: version})
}

// OpenBytes is Open in plain types, for hub's port.
func (v *Vault) OpenBytes(sealed []byte, tenant, field string, version int64) ([]byte, error) {
	return v.Open(sealed, AAD{Tenant: tenant, Field: field, Version: version})
}

// MAC gives 32 bytes that only a holder of the keyring can make: HMAC-SHA-256 of context and data, both bound
// unambiguously. Its key stays the same when the keyset rotates, since the values live in tenants' databases that nobody
// can rewrite at once. Give each use a context of its own ("tenant-seal/1").
func (v *Vault) MAC(context string, data []byte) []byte {
	m := hmac.New(sha256.New, v.macRoot)
	m.Write(appendText(appendText(nil, macDomain), context))
	m.Write(data)
	return m.Sum(nil)
}

// CheckMAC reports in constant time whether mac is MAC(context, data).
func (v *Vault) CheckMAC(context string, data, mac []byte) bool {
	return hmac.Equal(v.MAC(context, data), mac)
}

// String keeps the keys of a vault out of every log.
func (v *Vault) String() string { return "[vault]" }

// GoString keeps the keys of a vault out of %#v.
func (v *Vault) GoString() string { return "[vault]" }

// LogValue keeps the keys of a vault out of slog.
func (v *Vault) LogValue() slog.Value { return slog.StringValue("[vault]") }
