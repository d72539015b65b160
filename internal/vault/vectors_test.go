package vault

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "add testdata/vectors.json when it is missing")

// vectors fix the byte formats: what one version of the hub sealed, every later one opens. Never write them anew; a new
// format gets a file of its own beside this one.
type vectors struct {
	Comment  string         `json:"comment"`
	Keyrings []vectorRing   `json:"keyrings"`
	AADs     []vectorAAD    `json:"aads"`
	Sealed   []vectorSealed `json:"sealed"`
	MACs     []vectorMAC    `json:"macs"`
}

type vectorRing struct {
	Key    string `json:"encryption_key"`
	Record string `json:"record_hex"`
}

type vectorAAD struct {
	Tenant  string `json:"tenant"`
	Field   string `json:"field"`
	Version int64  `json:"version"`
	Hex     string `json:"hex"`
}

type vectorSealed struct {
	Plain   string `json:"plain"`
	Tenant  string `json:"tenant"`
	Field   string `json:"field"`
	Version int64  `json:"version"`
	Hex     string `json:"sealed_hex"`
}

type vectorMAC struct {
	Context string `json:"context"`
	Data    string `json:"data"`
	Hex     string `json:"mac_hex"`
}

func TestVectors(t *testing.T) {
	path := filepath.Join("testdata", "vectors.json")
	if _, err := os.Stat(path); err != nil && *update {
		writeVectors(t, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var vec vectors
	if err := json.Unmarshal(text, &vec); err != nil {
		t.Fatal(err)
	}
	if len(vec.Keyrings) < 2 || len(vec.AADs) < 3 || len(vec.Sealed) < 3 || len(vec.MACs) < 2 {
		t.Fatal("vectors are missing")
	}
	for _, a := range vec.AADs {
		if got, err := (AAD{a.Tenant, a.Field, a.Version}).encode(); err != nil || hex.EncodeToString(got) != a.Hex {
			t.Errorf("AAD %+v: %x, %v", a, got, err)
		}
	}
	for _, r := range vec.Keyrings { // all hold the same keyring
		v := mustOpen(t, mustKey(t, r.Key), &memoryStore{record: unhex(t, r.Record)})
		for _, s := range vec.Sealed {
			if got, err := v.OpenBytes(unhex(t, s.Hex), s.Tenant, s.Field, s.Version); err != nil || string(got) != s.Plain {
				t.Errorf("%s: sealed %q: %q, %v", r.Key, s.Plain, got, err)
			}
		}
		for _, m := range vec.MACs {
			if got := v.MAC(m.Context, []byte(m.Data)); !bytes.Equal(got, unhex(t, m.Hex)) {
				t.Errorf("%s: MAC %q: %x", r.Key, m.Context, got)
			}
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeVectors(t *testing.T, path string) {
	t.Helper()
	ring, err := newKeyring()
	if err != nil {
		t.Fatal(err)
	}
	v, err := ring.vault()
	if err != nil {
		t.Fatal(err)
	}
	vec := vectors{Comment: "Byte formats of internal/vault, version 1. Keys for tests only. Never write anew: what is sealed in the field must open for ever."}
	for _, key := range []string{rawKey, "passphrase:correct horse battery staple"} {
		record, err := ring.wrap(mustKey(t, key))
		if err != nil {
			t.Fatal(err)
		}
		vec.Keyrings = append(vec.Keyrings, vectorRing{key, hex.EncodeToString(record)})
	}
	for _, a := range []AAD{{"ten_1", "tenants.credentials", 1}, {"a", "b", -1}, {"ü", "x\x00y", 1 << 40}} {
		encoded, err := a.encode()
		if err != nil {
			t.Fatal(err)
		}
		vec.AADs = append(vec.AADs, vectorAAD{a.Tenant, a.Field, a.Version, hex.EncodeToString(encoded)})
		for _, plain := range []string{"", "postgres://role:password@host/db"} {
			sealed, err := v.Seal([]byte(plain), a)
			if err != nil {
				t.Fatal(err)
			}
			vec.Sealed = append(vec.Sealed, vectorSealed{plain, a.Tenant, a.Field, a.Version, hex.EncodeToString(sealed)})
		}
	}
	for _, m := range [][2]string{{"tenant-seal/1", "ten_1|1"}, {"", ""}} {
		vec.MACs = append(vec.MACs, vectorMAC{m[0], m[1], hex.EncodeToString(v.MAC(m[0], []byte(m[1])))})
	}
	text, err := json.MarshalIndent(vec, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // testdata, for everybody
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil { //nolint:gosec // testdata, for everybody
		t.Fatal(err)
	}
}
