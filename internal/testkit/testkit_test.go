package testkit_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestPostgresGivesEachTestItsOwn(t *testing.T) {
	seen := map[string]bool{}
	var last string
	for _, name := range []string{"one", "two"} {
		t.Run(name, func(t *testing.T) {
			last = testkit.Postgres(t)
			if seen[last] {
				t.Error("two tests share a database")
			}
			seen[last] = true
			execute(t, last, "CREATE TABLE thing (n int)") // fails if the database is not empty
		})
	}
	if conn, err := pgx.Connect(t.Context(), last); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the database is still there after its test")
	}
}

func TestPostgresFromMigratesOnce(t *testing.T) {
	runs := 0
	migrate := func(u string) error {
		runs++
		execute(t, u, "CREATE TABLE thing (n int)")
		return nil
	}
	// The key differs from run to run, so that a server that outlives the run shows the same.
	key := t.Name() + time.Now().String()
	for _, name := range []string{"one", "two", "three"} {
		t.Run(name, func(t *testing.T) {
			execute(t, testkit.PostgresFrom(t, key, migrate), "INSERT INTO thing VALUES (1)")
		})
	}
	if runs != 1 {
		t.Errorf("migrated %d times, want once", runs)
	}
}

func TestDigestFSChangesWithContent(t *testing.T) {
	a := testkit.DigestFS(t, "hub", fstest.MapFS{"0001.sql": {Data: []byte("a")}})
	b := testkit.DigestFS(t, "hub", fstest.MapFS{"0001.sql": {Data: []byte("b")}})
	if a == b || !strings.HasPrefix(a, "hub ") {
		t.Errorf("digests %q and %q", a, b)
	}
}

func TestSQLitePathIsFresh(t *testing.T) {
	path := testkit.SQLitePath(t)
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file is there already: %v", err)
	}
}

func TestClock(t *testing.T) {
	c := testkit.NewClock()
	began := c.Now()
	if got := c.Advance(90 * time.Second); got.Sub(began) != 90*time.Second || !c.Now().Equal(got) {
		t.Errorf("advanced from %v to %v", began, got)
	}
	c.Set(time.Date(2027, 1, 1, 0, 0, 0, 1999, time.FixedZone("", 3600)))
	if got := c.Now().Format(time.RFC3339Nano); got != "2026-12-31T23:00:00.000001Z" {
		t.Errorf("set to %s, want UTC and microseconds", got)
	}
}

func TestChromiumIsThere(t *testing.T) {
	if path := testkit.Chromium(t); !filepath.IsAbs(path) {
		t.Errorf("found %q, want a path", path)
	}
}

func execute(t *testing.T, u, sql string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, u)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatal(err)
	}
}
