package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/store"
	"github.com/kitshub/kitshub/internal/testkit"
)

// TestMigrateUpDownUp: what goes up comes down without a trace, and goes up again to the same schema.
func TestMigrateUpDownUp(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		want := schemaText(t, s)
		if err := s.Migrate(ctx); err != nil {
			t.Fatalf("a second time: %v", err)
		}
		if err := s.Down(ctx); err != nil {
			t.Fatal(err)
		}
		if left := schemaOf(t, s).Tables; len(left) != 0 {
			t.Fatalf("left after going down: %v", left)
		}
		if err := s.Migrate(ctx); err != nil {
			t.Fatal(err)
		}
		same(t, "the schema after up, down, up", schemaText(t, s), want)
	})
}

// TestMigrateTogether: several processes start at once on one database. One works at a time, all end well, and what shares the database is
// brought up by each in turn, never by two.
func TestMigrateTogether(t *testing.T) {
	for name, again := range map[string]func(*testing.T) func() *store.Store{
		"sqlite": func(t *testing.T) func() *store.Store {
			dir := t.TempDir()
			return func() *store.Store {
				s, err := store.OpenSQLite(dir)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
		},
		"postgres": func(t *testing.T) func() *store.Store {
			url := testkit.Postgres(t)
			return func() *store.Store {
				s, err := store.OpenPostgres(t.Context(), url, store.Options{MaxConns: 3, ConnectTimeout: patient})
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			open := again(t)
			const n = 3
			inside := make(chan struct{}, 1)
			errs := make(chan error, n)
			for range n {
				s := open()
				closeAfter(t, s)
				go func() {
					errs <- s.Migrate(t.Context(), func(ctx context.Context) error {
						select {
						case inside <- struct{}{}:
						default:
							return errors.New("two migrate at once")
						}
						defer func() { <-inside }()
						return s.Ping(ctx)
					})
				}()
			}
			for range n {
				if err := <-errs; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestMigrateTellsWhatElseFailed(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		broken := errors.New("broken")
		if err := s.Migrate(t.Context(), func(context.Context) error { return broken }); !errors.Is(err, broken) {
			t.Fatalf("got %v", err)
		}
		if err := s.Migrate(t.Context()); err != nil { // the lock was given back
			t.Fatal(err)
		}
	})
}

// TestMigrateWaitsUnderItsContext: a start that waits for another process can be stopped.
func TestMigrateWaitsUnderItsContext(t *testing.T) {
	dir := t.TempDir()
	held := flock.New(filepath.Join(dir, "migrate.lock"))
	if err := held.Lock(); err != nil {
		t.Fatal(err)
	}
	s, err := store.OpenSQLite(dir)
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Migrate(ctx); !hub.IsCode(err, hub.CodeUnavailable) {
		t.Fatalf("got %v", err)
	}
	if err := held.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestOtherFilesStayAlone: the embedded database keeps to its own names in DATA_DIR, and a strange path is no trouble.
func TestOtherFilesStayAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b%20?c#d&ü")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := sqliteIn(t, dir)
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"hub.db": true, "hub.db-wal": true, "hub.db-shm": true, "migrate.lock": true}
	for _, f := range files {
		if !known[f.Name()] {
			t.Errorf("there is a file %q", f.Name())
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "hub.db")); err != nil {
		t.Error(err)
	}
}
