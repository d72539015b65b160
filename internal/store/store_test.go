package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/store"
	"github.com/kitshub/kitshub/internal/store/storetest"
	"github.com/kitshub/kitshub/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// patient is a time for connecting that a busy machine keeps, for tests that are not about outages.
const patient = time.Minute

// engines open an empty, migrated store.
var engines = map[string]func(testing.TB) *store.Store{"sqlite": openSQLite, "postgres": openPostgres}

func onBoth(t *testing.T, test func(*testing.T, *store.Store)) {
	for name, open := range engines {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// golden is a migrated database, made once: copying it takes a tenth of the time.
var golden = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "golden")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := store.OpenSQLite(dir)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.Migrate(context.Background()), s.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "hub.db"))
})

func openSQLite(t testing.TB) *store.Store {
	t.Helper()
	b, err := golden()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hub.db"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.OpenSQLite(dir)
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, s)
	return s
}

func sqliteIn(t testing.TB, dir string) *store.Store {
	t.Helper()
	s, err := store.OpenSQLite(dir)
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, s)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func openPostgres(t testing.TB) *store.Store {
	t.Helper()
	return postgresAt(t, testkit.PostgresFrom(t, "the hub's schema", migrate))
}

func migrate(url string) error {
	ctx := context.Background()
	s, err := store.OpenPostgres(ctx, url, store.Options{ConnectTimeout: patient})
	if err != nil {
		return err
	}
	return errors.Join(s.Migrate(ctx), s.Close())
}

func postgresAt(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := store.OpenPostgres(t.Context(), url, store.Options{ConnectTimeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, s)
	return s
}

func closeAfter(t testing.TB, s *store.Store) {
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestConformance(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		storetest.Run(t, func(t testing.TB) hub.Store { return openSQLite(t) })
	})
	t.Run("postgres", func(t *testing.T) {
		// Emptying a database takes a hundredth of the time and the disk of making one.
		var free []*store.Store
		var mu sync.Mutex
		storetest.Run(t, func(topic testing.TB) hub.Store {
			mu.Lock()
			defer mu.Unlock()
			if len(free) == 0 {
				free = append(free, openPostgres(t))
			}
			s := free[len(free)-1]
			free = free[:len(free)-1]
			topic.Cleanup(func() {
				if topic.Failed() { // what it left may be what it failed at
					return
				}
				empty(topic, s)
				mu.Lock()
				defer mu.Unlock()
				free = append(free, s)
			})
			return s
		})
	})
}

// empty deletes every row, whatever refers to it.
func empty(t testing.TB, s *store.Store) {
	t.Helper()
	_, err := s.WriterDB().ExecContext(context.Background(), `DO $$ DECLARE n text; BEGIN
		SET LOCAL session_replication_role = replica;
		FOR n IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'goose_db_version' LOOP
			EXECUTE format('DELETE FROM %I', n);
		END LOOP;
	END $$`)
	if err != nil {
		t.Error(err)
	}
}

func TestEngineIsNamed(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		if want := t.Name()[len("TestEngineIsNamed/"):]; s.Engine() != want || (s.Pool() != nil) != (want == "postgres") || s.WriterDB() == nil {
			t.Errorf("engine %q, pool %v", s.Engine(), s.Pool())
		}
	})
}

// TestJobsShareTheTransaction: the job engine writes on the connection of the hub's transaction, and its row comes and goes with it.
func TestJobsShareTheTransaction(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		if _, err := s.WriterDB().ExecContext(ctx, `CREATE TABLE jobs (n BIGINT)`); err != nil {
			t.Fatal(err)
		}
		undo := errors.New("undo")
		for _, end := range []error{undo, nil} {
			err := s.Write(ctx, func(tx hub.Tx) error {
				own, ok := tx.(*store.Tx)
				if !ok || (own.Conn() != nil) != (s.Pool() != nil) {
					return fmt.Errorf("a %T with the wrong connection", tx)
				}
				if _, err := own.SQLTx().ExecContext(ctx, `INSERT INTO jobs VALUES (1)`); err != nil {
					return err
				}
				return end
			})
			if !errors.Is(err, end) {
				t.Fatalf("got %v, want %v", err, end)
			}
		}
		var n int
		if err := s.WriterDB().QueryRowContext(ctx, `SELECT count(*) FROM jobs`).Scan(&n); err != nil || n != 1 {
			t.Fatalf("%d jobs, %v; want the committed one", n, err)
		}
	})
}

func TestKeyringFirstWriterWins(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		if b, err := s.LoadKeyring(ctx); b != nil || err != nil {
			t.Fatalf("at first: %q, %v", b, err)
		}
		const n = 6
		got := make(chan string, n)
		for i := range n {
			go func() {
				b, err := s.CreateKeyring(ctx, fmt.Appendf(nil, "\x00ring %d", i))
				got <- fmt.Sprintf("%q %v", b, err)
			}()
		}
		seen := map[string]bool{}
		for range n {
			seen[<-got] = true
		}
		b, err := s.LoadKeyring(ctx)
		if want := fmt.Sprintf("%q %v", b, err); len(seen) != 1 || !seen[want] || len(b) == 0 {
			t.Fatalf("the writers saw %v, there is %s", seen, want)
		}
	})
}

func TestBadAddressHidesThePassword(t *testing.T) {
	s, err := store.OpenPostgres(t.Context(), "postgres://u:hunter2@h:notaport/db", store.Options{})
	if err == nil {
		t.Fatal(s.Close())
	}
	if got := err.Error(); got != "DATABASE_URL is not a Postgres connection string" {
		t.Errorf("said %q", got)
	}
}
