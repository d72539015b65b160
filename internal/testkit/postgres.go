package testkit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/kitshub/kitshub/internal/testkit/pgserver"
)

// PostgresVariable names the environment variable with the address of a server to use: a postgres:// URL of a
// superuser, or "file:" and the path of a file that holds one. `make test` sets it to one throwaway server for the whole run; without it each test process that needs
// Postgres starts one of its own.
const PostgresVariable = "TEST_POSTGRES_URL"

// filePrefix marks the address that scripts/with-postgres hands on for one run of the tests.
const filePrefix = "file:"

// Postgres gives the test an empty database of its own, dropped when the test ends.
func Postgres(t testing.TB) string {
	t.Helper()
	return newDatabase(t, "")
}

// PostgresFrom gives the test its own copy of a database that migrate has prepared, in about 50 ms however long
// migrate takes: it runs once for each key and server. The key names the content; on a server that outlives the run
// (one you gave yourself) it is joined with a digest of the test binary, so an edited migration is never missed.
func PostgresFrom(t testing.TB, key string, migrate func(databaseURL string) error) string {
	t.Helper()
	server := ServerURL(t)
	if given := os.Getenv(PostgresVariable); given != "" && !strings.HasPrefix(given, filePrefix) {
		key += " " + binaryDigest()
	}
	name, err := template(t.Context(), server, key, migrate)
	if err != nil {
		t.Fatalf("a migrated database for the test: %v", err)
	}
	return newDatabase(t, name)
}

// ServerURL gives the superuser's address of the server that the tests use, for tests that make databases and roles
// themselves. They drop what they make.
func ServerURL(t testing.TB) string {
	t.Helper()
	u, err := serverURL()
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func newDatabase(t testing.TB, template string) string {
	t.Helper()
	db, err := pgserver.CreateDatabase(t.Context(), ServerURL(t), template)
	if err != nil {
		t.Fatalf("a database for the test: %v", err)
	}
	t.Cleanup(func() {
		// The test's own context has ended by now. A drop that fails is worth knowing about.
		if err := db.Drop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return db.URL
}

// own is the server this process started, if it did.
var own struct {
	sync.Mutex
	server *pgserver.Server
}

// serverURL finds the server at the first call. One that this process starts needs no stopping: it dies with the
// process, however that ends.
var serverURL = sync.OnceValues(func() (string, error) {
	ctx := context.Background() // the server is for the whole process, not for the test that comes first
	if given := os.Getenv(PostgresVariable); given != "" {
		if path, ok := strings.CutPrefix(given, filePrefix); ok {
			address, err := os.ReadFile(path)
			if err != nil {
				return "", fmt.Errorf("%s: %w", PostgresVariable, err)
			}
			given = strings.TrimSpace(string(address))
		}
		if err := pgserver.Sweep(ctx, given); err != nil {
			return "", fmt.Errorf("%s is set, but that server does not serve: %w", PostgresVariable, err)
		}
		return given, nil
	}
	s, err := pgserver.Start(ctx, pgserver.Options{Logf: func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "testkit: "+format+"\n", args...)
	}})
	if err != nil {
		return "", err
	}
	own.Lock()
	defer own.Unlock()
	own.server = s
	return s.URL, nil
})

// templates remembers, for this process, which keys are prepared: asking the server costs a connection.
var templates sync.Map // key → func() (string, error)

func template(ctx context.Context, server, key string, migrate func(string) error) (string, error) {
	once, _ := templates.LoadOrStore(key, sync.OnceValues(func() (string, error) {
		return pgserver.Template(context.WithoutCancel(ctx), server, key, migrate)
	}))
	return once.(func() (string, error))() //nolint:forcetypeassert // only the line above stores
}

// binaryDigest tells this test binary from the one before an edit.
var binaryDigest = sync.OnceValue(func() string {
	path, err := os.Executable()
	if err != nil {
		return err.Error()
	}
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err.Error()
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
})

// DigestFS makes a key for PostgresFrom from the files that migrate applies, so that packages which apply the same
// ones share the template and an edited file makes a new one.
func DigestFS(t testing.TB, name string, files fs.FS) string {
	t.Helper()
	h := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(files, path)
		fmt.Fprintf(h, "%s %d\n%s\n", path, len(b), b)
		return err
	})
	if err != nil {
		t.Fatalf("digest of %s: %v", name, err)
	}
	return name + " " + hex.EncodeToString(h.Sum(nil)[:8])
}

// SQLitePath gives the test a path for a database file of its own, removed when the test ends.
func SQLitePath(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "hub.db")
}
