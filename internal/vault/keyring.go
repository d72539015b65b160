package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// KeyringStore keeps the one keyring record of a hub's database. All hubs on that database share it.
type KeyringStore interface {
	// LoadKeyring gives the record, or nil when there is none yet.
	LoadKeyring(ctx context.Context) ([]byte, error)

	// CreateKeyring stores the record unless there is one, and gives the one that is stored: the first writer wins.
	// It returns after the record is durable.
	CreateKeyring(ctx context.Context, sealed []byte) (stored []byte, err error)
}

// Errors of Open, to be told apart by errors.Is.
var (
	// ErrWrongKey says that ENCRYPTION_KEY is not the key that this database's keyring was wrapped with.
	ErrWrongKey = errors.New("ENCRYPTION_KEY: it does not open the keyring of this database")

	// ErrKeyringDamaged says that the keyring record cannot be one that this version wrote.
	ErrKeyringDamaged = errors.New("the keyring record in the hub's database is damaged")
)

// keyring is the opened content of a record.
type keyring struct {
	macRoot []byte
	handle  *keyset.Handle
}

// Open loads the keyring from store and opens it with key; a database without one gets a new one. A keyring that does not
// open is an error (ErrWrongKey, ErrKeyringDamaged) and is never replaced, because with it all sealed values would be lost.
func Open(ctx context.Context, key Key, store KeyringStore) (*Vault, error) {
	record, err := store.LoadKeyring(ctx)
	if err != nil {
		return nil, fmt.Errorf("load the keyring: %w", err)
	}
	if len(record) == 0 {
		fresh, err := newKeyring()
		if err != nil {
			return nil, err
		}
		mine, err := fresh.wrap(key)
		if err != nil {
			return nil, err
		}
		if record, err = store.CreateKeyring(ctx, mine); err != nil {
			return nil, fmt.Errorf("store the new keyring: %w", err)
		}
		if bytes.Equal(record, mine) {
			return fresh.vault() // no second scrypt for our own
		}
	}
	ring, err := unwrap(record, key)
	if err != nil {
		return nil, err
	}
	return ring.vault()
}

func newKeyring() (*keyring, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make a keyset: %w", err)
	}
	root := make([]byte, macRootBytes)
	rand.Read(root) //nolint:errcheck,gosec // never fails since Go 1.24: it ends the process instead
	return &keyring{macRoot: root, handle: handle}, nil
}

// wrap makes the record, with a salt of its own each time.
func (r *keyring) wrap(key Key) ([]byte, error) {
	salt := make([]byte, saltBytes)
	rand.Read(salt) //nolint:errcheck,gosec // as above
	return r.wrapWith(key, header{kind: key.kind, salt: salt})
}

func (r *keyring) wrapWith(key Key, h header) ([]byte, error) {
	wrapping, err := key.wrapping(h.salt)
	if err != nil {
		return nil, err
	}
	gcm, err := subtle.NewAESGCM(wrapping)
	if err != nil {
		return nil, fmt.Errorf("prepare the wrapping key: %w", err)
	}
	// Keyset and MAC root go under one seal, so that they cannot be exchanged apart; hence the keyset is written in the
	// clear here, into memory only, rather than by Tink's own wrapping.
	var clear bytes.Buffer
	clear.Write(r.macRoot)
	if err := insecurecleartextkeyset.Write(r.handle, keyset.NewBinaryWriter(&clear)); err != nil {
		return nil, fmt.Errorf("write the keyset: %w", err)
	}
	head := h.encode()
	sealed, err := gcm.Encrypt(clear.Bytes(), head)
	if err != nil {
		return nil, fmt.Errorf("wrap the keyring: %w", err)
	}
	return append(head, sealed...), nil
}

func unwrap(record []byte, key Key) (*keyring, error) {
	h, err := parseHeader(record)
	if err != nil {
		return nil, fmt.Errorf("%w. Restore the hub's database from a backup", err)
	}
	if h.kind != key.kind {
		return nil, fmt.Errorf("%w, which was made with a %s, while %s holds a %s. Set the key this database was begun with", ErrWrongKey, h.kind, key.source, key.kind)
	}
	wrapping, err := key.wrapping(h.salt)
	if err != nil {
		return nil, err
	}
	gcm, err := subtle.NewAESGCM(wrapping)
	if err != nil {
		return nil, fmt.Errorf("prepare the wrapping key: %w", err)
	}
	clear, err := gcm.Decrypt(record[headerBytes:], record[:headerBytes])
	if err != nil { // the cause is always "authentication failed" and tells nothing
		return nil, fmt.Errorf("%w (the key came from %s). Set the key this database was begun with, or restore its %s; nothing was changed", ErrWrongKey, key.source, KeyFile)
	}
	if len(clear) < macRootBytes {
		return nil, fmt.Errorf("%w: it is too short. Restore the hub's database from a backup", ErrKeyringDamaged)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(clear[macRootBytes:])))
	if err != nil { // not wrapped: it stems from clear key bytes
		return nil, fmt.Errorf("%w: its keyset cannot be read. Restore the hub's database from a backup", ErrKeyringDamaged)
	}
	return &keyring{macRoot: clear[:macRootBytes], handle: handle}, nil
}

func (k keyKind) String() string {
	if k == kindPassphrase {
		return "passphrase"
	}
	return "32-byte key"
}

func (r *keyring) vault() (*Vault, error) {
	primitive, err := aead.New(r.handle)
	if err != nil {
		return nil, fmt.Errorf("prepare the keyring: %w", err)
	}
	v := &Vault{aead: primitive, macRoot: r.macRoot, known: make(map[uint32]bool)}
	for i := range r.handle.Len() {
		entry, err := r.handle.Entry(i)
		if err != nil {
			return nil, fmt.Errorf("read the keyring: %w", err)
		}
		v.known[entry.KeyID()] = entry.KeyStatus() == keyset.Enabled
		if entry.IsPrimary() {
			v.primary = entry.KeyID()
		}
	}
	return v, nil
}
