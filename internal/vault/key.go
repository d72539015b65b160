package vault

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/scrypt"
)

const (
	keyBytes = 32 // AES-256

	// passphraseMin (characters) keeps out passphrases that no stretching can save.
	passphraseMin = 12

	// scrypt at 128 MiB and about half a second, once at start: what OWASP's password storage cheat sheet asks for
	// (N=2^17, r=8, p=1; RFC 7914).
	scryptLogN = 17
	scryptR    = 8
	scryptP    = 1

	// KeyFile is the generated key of a development hub, inside DATA_DIR.
	KeyFile = "encryption.key"
)

// Key is what ENCRYPTION_KEY says: 32 random bytes, or a passphrase to be stretched with the salt of the keyring record.
// It prints as [key].
type Key struct {
	kind   keyKind
	secret []byte
	source string // where it came from, for messages: never the value
}

// String hides the key.
func (Key) String() string { return "[key]" }

// GoString hides the key from %#v.
func (Key) GoString() string { return "[key]" }

// LogValue hides the key from slog.
func (Key) LogValue() slog.Value { return slog.StringValue("[key]") }

// MarshalText hides the key from encoders.
func (Key) MarshalText() ([]byte, error) { return []byte("[key]"), nil }

// Source says where the key came from ("ENCRYPTION_KEY", a path), for a line in the log.
func (k Key) Source() string { return k.source }

// OpenKey reads the setting ENCRYPTION_KEY: "base64:…" or "hex:…" of exactly 32 bytes, "passphrase:…" of 12 characters
// or more, "file:PATH" or "exec:COMMAND ARGS" that give one of these three. An empty setting makes a key in
// dataDir/encryption.key once, and reads it from then on; in production it is refused. Every error names ENCRYPTION_KEY
// and the next step, and never holds what was read.
func OpenKey(setting, dataDir string, production bool) (Key, error) {
	form, rest, _ := strings.Cut(setting, ":")
	switch strings.TrimSpace(form) {
	case "":
		if strings.TrimSpace(setting) != "" {
			return Key{}, unknownForm("ENCRYPTION_KEY")
		}
		if production {
			return Key{}, errors.New("ENCRYPTION_KEY: it is required in production. Make one by `openssl rand -base64 32` and set base64: followed by it; keep a copy apart from the database")
		}
		return generatedKey(dataDir)
	case "file":
		return keyFromFile(strings.TrimSpace(rest))
	case "exec":
		return keyFromCommand(strings.Fields(rest), commandLimit)
	default:
		return parseKey(setting, "ENCRYPTION_KEY")
	}
}

func unknownForm(source string) error {
	return fmt.Errorf("ENCRYPTION_KEY: the form of what %s holds is not known. Begin it with base64:, hex: or passphrase:", source)
}

// parseKey reads the forms that hold the key itself. Spaces and line ends around it are not part of it, since files and
// commands end with them.
func parseKey(text, source string) (Key, error) {
	form, rest, _ := strings.Cut(strings.TrimSpace(text), ":")
	switch form {
	case "base64":
		std := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(strings.TrimSpace(rest), "="))
		raw, err := base64.RawStdEncoding.DecodeString(std)
		if err != nil || len(raw) != keyBytes {
			return Key{}, fmt.Errorf("ENCRYPTION_KEY: what follows base64: in %s is not 32 bytes in base64. Make one by `openssl rand -base64 32`", source)
		}
		return Key{kind: kindRaw, secret: raw, source: source}, nil
	case "hex":
		raw, err := hex.DecodeString(strings.TrimSpace(rest))
		if err != nil || len(raw) != keyBytes {
			return Key{}, fmt.Errorf("ENCRYPTION_KEY: what follows hex: in %s is not 32 bytes in hexadecimal. Make one by `openssl rand -hex 32`", source)
		}
		return Key{kind: kindRaw, secret: raw, source: source}, nil
	case "passphrase":
		if utf8.RuneCountInString(rest) < passphraseMin {
			return Key{}, fmt.Errorf("ENCRYPTION_KEY: the passphrase in %s is too short. Use %d characters or more, better several random words", source, passphraseMin)
		}
		return Key{kind: kindPassphrase, secret: []byte(rest), source: source}, nil
	default:
		return Key{}, unknownForm(source)
	}
}

// wrapping derives the key that wraps a keyring record with this salt. HKDF (RFC 5869) ties the bytes to this one use,
// so that a key somebody uses elsewhere too meets no other ciphertext of the same key.
func (k Key) wrapping(salt []byte) ([]byte, error) {
	secret := k.secret
	if k.kind == kindPassphrase {
		stretched, err := scrypt.Key(k.secret, salt, 1<<scryptLogN, scryptR, scryptP, keyBytes)
		if err != nil {
			return nil, fmt.Errorf("stretch the passphrase: %w", err)
		}
		debug.FreeOSMemory() // give the 128 MiB back at once: it is needed once at start, an idle hub stays small
		secret = stretched
	}
	return hkdf.Key(sha256.New, secret, salt, "kitshub keyring v1", keyBytes)
}

// generatedKey reads dataDir/encryption.key, and makes it first when it is missing.
func generatedKey(dataDir string) (Key, error) {
	path := filepath.Join(dataDir, KeyFile)
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		if err := generate(dataDir, path); err != nil {
			return Key{}, fmt.Errorf("ENCRYPTION_KEY: no key could be generated into DATA_DIR: %w. Make DATA_DIR writable, or set ENCRYPTION_KEY", err)
		}
	}
	return keyFromFile(path)
}

// generate writes a new key beside path and links it there. The link fails if another hub was first, whose key then
// counts; a crash leaves either no key or a whole one, on disk before anything is sealed with it.
func generate(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	raw := make([]byte, keyBytes)
	rand.Read(raw)                                 //nolint:errcheck,gosec // never fails since Go 1.24: it ends the process instead
	f, err := os.CreateTemp(dir, KeyFile+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // a left-over is harmless and private
	if _, err = f.WriteString("base64:" + base64.StdEncoding.EncodeToString(raw) + "\n"); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
