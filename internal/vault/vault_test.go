package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"pgregory.net/rapid"
)

const (
	rawKey   = "hex:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	otherKey = "hex:ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
)

// memoryStore is a KeyringStore whose first writer wins.
type memoryStore struct {
	mu     sync.Mutex
	record []byte
	hidden int // that many loads see nothing yet, as in a race
}

func (m *memoryStore) LoadKeyring(context.Context) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hidden > 0 {
		m.hidden--
		return nil, nil
	}
	return m.record, nil
}

func (m *memoryStore) CreateKeyring(_ context.Context, sealed []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.record == nil {
		m.record = bytes.Clone(sealed)
	}
	return m.record, nil
}

func mustKey(t testing.TB, setting string) Key {
	t.Helper()
	k, err := OpenKey(setting, t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustOpen(t testing.TB, key Key, store KeyringStore) *Vault {
	t.Helper()
	v, err := Open(t.Context(), key, store)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestHubsOnOneDatabaseShareTheKeyring(t *testing.T) {
	store := &memoryStore{hidden: 2} // both hubs see an empty database and race to create
	first := mustOpen(t, mustKey(t, rawKey), store)
	second := mustOpen(t, mustKey(t, rawKey), store)
	third := mustOpen(t, mustKey(t, rawKey), store) // after a restart
	at := AAD{Tenant: "ten_1", Field: "tenants.credentials", Version: 3}
	sealed, err := first.Seal([]byte("secret"), at)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []*Vault{first, second, third} {
		if got, err := v.Open(sealed, at); err != nil || string(got) != "secret" {
			t.Errorf("%q, %v", got, err)
		}
		if !v.CheckMAC("c", []byte("d"), first.MAC("c", []byte("d"))) || v.PrimaryKeyID() != first.PrimaryKeyID() {
			t.Error("the vaults differ")
		}
	}
}

func TestWrongKeyIsRefusedAndReplacesNothing(t *testing.T) {
	store := &memoryStore{}
	mustOpen(t, mustKey(t, rawKey), store)
	before := bytes.Clone(store.record)
	for setting, says := range map[string]string{otherKey: "came from ENCRYPTION_KEY", "passphrase:correct horse battery": "made with a 32-byte key, while ENCRYPTION_KEY holds a passphrase"} {
		_, err := Open(t.Context(), mustKey(t, setting), store)
		if !errors.Is(err, ErrWrongKey) || !strings.HasPrefix(err.Error(), "ENCRYPTION_KEY: ") || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", setting, err)
		}
	}
	if !bytes.Equal(before, store.record) {
		t.Error("the keyring was replaced")
	}
	// A hub that loses the race to one with another key must not go on with a keyring of its own.
	if _, err := Open(t.Context(), mustKey(t, otherKey), &memoryStore{record: store.record, hidden: 1}); !errors.Is(err, ErrWrongKey) {
		t.Error(err)
	}
	mustOpen(t, mustKey(t, rawKey), store)

	store = &memoryStore{}
	mustOpen(t, mustKey(t, "passphrase:correct horse battery"), store)
	if _, err := Open(t.Context(), mustKey(t, "passphrase:correct horse batterx"), store); !errors.Is(err, ErrWrongKey) {
		t.Error(err)
	}
}

func TestDamagedKeyring(t *testing.T) {
	store := &memoryStore{}
	key := mustKey(t, rawKey)
	mustOpen(t, key, store)
	for i := range store.record {
		damaged := bytes.Clone(store.record)
		damaged[i] ^= 1
		if _, err := Open(t.Context(), key, &memoryStore{record: damaged}); !errors.Is(err, ErrWrongKey) && !errors.Is(err, ErrKeyringDamaged) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	for n := 1; n < len(store.record); n++ {
		if _, err := Open(t.Context(), key, &memoryStore{record: store.record[:n]}); err == nil {
			t.Errorf("cut at %d: opened", n)
		}
	}
}

type brokenStore struct{ KeyringStore }

var errDown = errors.New("down")

func (brokenStore) LoadKeyring(context.Context) ([]byte, error)           { return nil, errDown }
func (brokenStore) CreateKeyring(context.Context, []byte) ([]byte, error) { return nil, errDown }

func TestStoreDown(t *testing.T) {
	if _, err := Open(t.Context(), mustKey(t, rawKey), brokenStore{}); !errors.Is(err, errDown) {
		t.Error(err)
	}
}

func genAAD(t *rapid.T, label string) AAD {
	text := rapid.StringMatching(`[a-c:/\x00é]{1,6}`)
	return AAD{Tenant: text.Draw(t, label+".tenant"), Field: text.Draw(t, label+".field"), Version: rapid.Int64().Draw(t, label+".version")}
}

// TestOnlyTheVerySameOpens is the promise of the package: any changed bit, any other place, any cut or addition fails.
func TestOnlyTheVerySameOpens(t *testing.T) {
	v := mustOpen(t, mustKey(t, rawKey), &memoryStore{})
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		at := genAAD(t, "at")
		sealed, err := v.Seal(plain, at)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := v.Open(sealed, at); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("does not round-trip: %v", err)
		}
		if len(sealed) != len(plain)+sealedMin {
			t.Fatalf("adds %d bytes", len(sealed)-len(plain))
		}
		other := genAAD(t, "other")
		if _, err := v.Open(sealed, other); other != at && !errors.Is(err, ErrSealed) {
			t.Fatalf("opens at %+v: %v", other, err)
		}
		// The classic mistake: the same bytes split elsewhere between the two texts.
		shifted := AAD{Tenant: at.Tenant + at.Field[:1], Field: at.Field[1:] + "x", Version: at.Version}
		if _, err := v.Open(sealed, shifted); err == nil {
			t.Fatal("opens at shifted borders")
		}
		bit := rapid.IntRange(0, len(sealed)*8-1).Draw(t, "bit")
		flipped := bytes.Clone(sealed)
		flipped[bit/8] ^= 1 << (bit % 8)
		if _, err := v.Open(flipped, at); !errors.Is(err, ErrSealed) && !errors.Is(err, ErrUnknownKey) {
			t.Fatalf("bit %d: %v", bit, err)
		}
		if _, err := v.Open(sealed[:rapid.IntRange(0, len(sealed)-1).Draw(t, "cut")], at); err == nil {
			t.Fatal("opens when cut")
		}
		if _, err := v.Open(append(bytes.Clone(sealed), 0), at); err == nil {
			t.Fatal("opens with a byte more")
		}
	})
}

func TestEveryBitOfOneValueCounts(t *testing.T) {
	v := mustOpen(t, mustKey(t, rawKey), &memoryStore{})
	sealed, err := v.SealBytes([]byte("secret"), "ten_1", "f", 1)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(sealed) * 8 {
		sealed[bit/8] ^= 1 << (bit % 8)
		if _, err := v.OpenBytes(sealed, "ten_1", "f", 1); err == nil {
			t.Errorf("bit %d does not count", bit)
		}
		sealed[bit/8] ^= 1 << (bit % 8)
	}
	if _, err := v.OpenBytes(sealed, "ten_1", "f", 1); err != nil { // the positive control
		t.Error(err)
	}
}

func TestIncompleteAAD(t *testing.T) {
	v := mustOpen(t, mustKey(t, rawKey), &memoryStore{})
	for _, at := range []AAD{{}, {Tenant: "t"}, {Field: "f"}} {
		if _, err := v.Seal(nil, at); err == nil {
			t.Errorf("%+v: sealed", at)
		}
		if _, err := v.Open(nil, at); err == nil {
			t.Errorf("%+v: opened", at)
		}
	}
}

func TestAADsNeverShareAnEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genAAD(t, "a"), genAAD(t, "b")
		x, _ := a.encode()
		y, _ := b.encode()
		if (a == b) != bytes.Equal(x, y) {
			t.Fatalf("%+v and %+v", a, b)
		}
	})
}

func TestMAC(t *testing.T) {
	store := &memoryStore{}
	v := mustOpen(t, mustKey(t, rawKey), store)
	mac := v.MAC("tenant-seal/1", []byte("data"))
	if len(mac) != 32 || !v.CheckMAC("tenant-seal/1", []byte("data"), mac) {
		t.Error("does not verify")
	}
	for _, wrong := range [][2]string{{"tenant-seal/2", "data"}, {"tenant-seal/1", "datb"}, {"tenant-seal/1d", "ata"}, {"", "tenant-seal/1data"}} {
		if v.CheckMAC(wrong[0], []byte(wrong[1]), mac) {
			t.Errorf("%q verifies", wrong)
		}
	}
	if v.CheckMAC("tenant-seal/1", []byte("data"), mac[:31]) || v.CheckMAC("tenant-seal/1", []byte("data"), nil) {
		t.Error("a cut MAC verifies")
	}
	if other := mustOpen(t, mustKey(t, rawKey), &memoryStore{}); other.CheckMAC("tenant-seal/1", []byte("data"), mac) {
		t.Error("another hub's MAC verifies")
	}
}

// TestFormatAllowsRotation rotates by hand what a later command will: old values open, new ones carry the new id, MACs stay.
func TestFormatAllowsRotation(t *testing.T) {
	ring, err := newKeyring()
	if err != nil {
		t.Fatal(err)
	}
	before, err := ring.vault()
	if err != nil {
		t.Fatal(err)
	}
	at := AAD{Tenant: "ten_1", Field: "f"}
	old, err := before.Seal([]byte("old"), at)
	if err != nil {
		t.Fatal(err)
	}
	manager := keyset.NewManagerFromHandle(ring.handle)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		t.Fatal(err)
	}
	if err := manager.SetPrimary(id); err != nil {
		t.Fatal(err)
	}
	if ring.handle, err = manager.Handle(); err != nil {
		t.Fatal(err)
	}
	record, err := ring.wrap(mustKey(t, otherKey)) // ENCRYPTION_KEY changes in the same go
	if err != nil {
		t.Fatal(err)
	}
	after := mustOpen(t, mustKey(t, otherKey), &memoryStore{record: record})
	if got, err := after.Open(old, at); err != nil || string(got) != "old" {
		t.Errorf("%q, %v", got, err)
	}
	fresh, err := after.Seal([]byte("new"), at)
	if err != nil {
		t.Fatal(err)
	}
	oldID, _ := KeyID(old)
	if newID, ok := KeyID(fresh); !ok || newID != after.PrimaryKeyID() || newID == oldID || oldID != before.PrimaryKeyID() {
		t.Errorf("ids: old %d, new %d, primary %d", oldID, newID, after.PrimaryKeyID())
	}
	if _, err := before.Open(fresh, at); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("a hub with the old keyring must say so: %v", err)
	}
	if !after.CheckMAC("c", nil, before.MAC("c", nil)) {
		t.Error("the MAC changed")
	}
}

func TestNothingPrints(t *testing.T) {
	const canary = "correct horse s3cr3t"
	key := mustKey(t, "passphrase:"+canary)
	v := mustOpen(t, mustKey(t, rawKey), &memoryStore{})
	sealed := Sealed("\x01sealed-canary")
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", key, "vault", v, "sealed", sealed)
	encoded, err := json.Marshal(map[string]any{"key": key, "sealed": sealed, "vault": v})
	if err != nil {
		t.Fatal(err)
	}
	printed := fmt.Sprintf("%v %+v %#v %s %q %x %d %v %#v %+v", key, key, key, key, sealed, sealed, sealed, struct{ S Sealed }{sealed}, sealed, v)
	for _, text := range []string{printed, log.String(), string(encoded)} {
		for _, secret := range []string{canary, fmt.Sprintf("%x", canary), "sealed-canary", fmt.Sprintf("%x", "sealed-canary"), fmt.Sprint(v.macRoot), fmt.Sprintf("%x", v.macRoot)} {
			if strings.Contains(text, secret) {
				t.Errorf("%q shows in %s", secret, text)
			}
		}
	}
	if !strings.Contains(log.String(), "[sealed]") || !strings.Contains(log.String(), "[key]") {
		t.Errorf("the positive control: %s", log.String())
	}
}

// FuzzOpen looks for panics, and for anything that opens without having been sealed.
func FuzzOpen(f *testing.F) {
	v := mustOpen(f, mustKey(f, rawKey), &memoryStore{})
	sealed, err := v.SealBytes([]byte("secret"), "t", "f", 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed, "t", "g", int64(1))
	f.Add(sealed[:20], "t", "f", int64(1))
	f.Add([]byte{}, "", "", int64(0))
	f.Fuzz(func(t *testing.T, data []byte, tenant, field string, version int64) {
		if bytes.Equal(data, sealed) && tenant == "t" && field == "f" && version == 1 {
			return
		}
		if _, err := v.OpenBytes(data, tenant, field, version); err == nil {
			t.Error("opened what nobody sealed")
		}
		// The same bytes as a keyring record: never a panic, never a keyring.
		if len(data) > 0 {
			if _, err := unwrap(data, mustRaw); err == nil {
				t.Error("opened a keyring that nobody wrapped")
			}
		}
	})
}

var mustRaw = Key{kind: kindRaw, secret: make([]byte, keyBytes), source: "test"}

func BenchmarkSeal(b *testing.B) {
	v := mustOpen(b, mustKey(b, rawKey), &memoryStore{})
	plain := []byte("postgres://role:password@host:5432/database?sslmode=verify-full")
	for b.Loop() {
		if _, err := v.SealBytes(plain, "ten_0123456789", "tenants.credentials", 1); err != nil {
			b.Fatal(err)
		}
	}
}
