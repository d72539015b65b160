package vault

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const rawHex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

var rawBytes = []byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f")

func write(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFormsOfTheKey(t *testing.T) {
	b64 := "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
	for name, setting := range map[string]string{
		"hex":              "hex:" + rawHex,
		"hex, upper case":  "hex:" + strings.ToUpper(rawHex),
		"base64":           "base64:" + b64 + "=",
		"without padding":  "base64:" + b64,
		"with a line end":  "base64:" + b64 + "=\r\n",
		"file":             "file:" + write(t, "key", "hex:"+rawHex+"\n", 0o600),
		"file, read only":  "file:" + write(t, "key", "hex:"+rawHex, 0o400),
		"exec":             "exec:cat " + write(t, "key", "base64:"+b64+"=\n", 0o644),
		"exec, two spaces": "exec: echo  hex:" + rawHex,
	} {
		k, err := OpenKey(setting, t.TempDir(), true)
		if err != nil || k.kind != kindRaw || !bytes.Equal(k.secret, rawBytes) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, setting := range map[string]string{
		"passphrase": "passphrase:correct: horse battery",
		"file":       "file:" + write(t, "key", "passphrase:correct: horse battery\n", 0o600),
	} {
		k, err := OpenKey(setting, t.TempDir(), true)
		if err != nil || k.kind != kindPassphrase || string(k.secret) != "correct: horse battery" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRefusedKeys: each is refused with the variable's name and a next step, without what was read.
func TestRefusedKeys(t *testing.T) {
	const canary = "s3cr3t-canary"
	for name, setting := range map[string]string{
		"nothing in production": "",
		"blank":                 "  ",
		"no form":               canary,
		"unknown form":          "plain:" + canary,
		"blank form":            ":" + canary,
		"short base64":          "base64:AAAA",
		"long hex":              "hex:" + rawHex + "00",
		"not hex":               "hex:" + canary,
		"not base64":            "base64:" + canary + "!",
		"short passphrase":      "passphrase:12345678901",
		"no file":               "file:",
		"missing file":          "file:/nonexistent/" + canary,
		"directory":             "file:" + t.TempDir(),
		"readable by the group": "file:" + write(t, "key", "hex:"+rawHex, 0o640),
		"readable by all":       "file:" + write(t, "key", "hex:"+rawHex, 0o604),
		"empty file":            "file:" + write(t, "key", "", 0o600),
		"file of a file":        "file:" + write(t, "key", "file:/etc/"+canary, 0o600),
		"file with canary":      "file:" + write(t, "key", canary, 0o600),
		"no command":            "exec:",
		"missing command":       "exec:/nonexistent/" + canary,
		"unknown command":       "exec:no-such-command-here " + canary,
		"failing command":       "exec:false " + canary,
		"silent command":        "exec:true",
		"no shell":              "exec:echo hex:$(cat " + canary + ")",
		"command of a command":  "exec:echo exec:" + canary,
	} {
		_, err := OpenKey(setting, t.TempDir(), true)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if text := err.Error(); !strings.HasPrefix(text, "ENCRYPTION_KEY: ") || !strings.Contains(text, ". ") || strings.Contains(text, canary) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

func TestHugeOutputIsCut(t *testing.T) {
	if _, err := OpenKey("exec:head -c 10000000 /dev/zero", t.TempDir(), true); err == nil {
		t.Error("accepted")
	}
}

func TestHangingCommandIsEnded(t *testing.T) {
	if _, err := keyFromCommand([]string{"sleep", "60"}, time.Millisecond); err == nil || !strings.Contains(err.Error(), "did not end within 1ms") {
		t.Error(err)
	}
}

func TestGeneratedKeyIsMadeOnceEvenInARace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	keys := make([]Key, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			var err error
			if keys[i], err = OpenKey("", dir, false); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, k := range keys {
		if len(k.secret) != keyBytes || !bytes.Equal(k.secret, keys[0].secret) {
			t.Fatal("the hubs have different keys")
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != KeyFile {
		t.Fatalf("%v, %v", entries, err)
	}
	if info, err := entries[0].Info(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if other, err := OpenKey("", t.TempDir(), false); err != nil || bytes.Equal(other.secret, keys[0].secret) {
		t.Error("the key is not random")
	}
	if err := os.Chmod(filepath.Join(dir, KeyFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKey("", dir, false); err == nil {
		t.Error("a key that all can read was taken")
	}
}

func TestNoPlaceForAGeneratedKey(t *testing.T) {
	if _, err := OpenKey("", write(t, "file", "", 0o600)+"/data", false); err == nil || !strings.HasPrefix(err.Error(), "ENCRYPTION_KEY: ") {
		t.Error(err)
	}
}
