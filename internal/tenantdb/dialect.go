package tenantdb

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// This file, postgres.go and classify.go are the only ones that know the engine.

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// hasTable looks for a table where unqualified names are looked for.
func hasTable(ctx context.Context, q querier, d hub.Dialect, name string) (bool, error) {
	query := `SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1)`
	if d == hub.Postgres {
		query = `SELECT to_regclass($1) IS NOT NULL`
	}
	var there bool
	if err := q.QueryRowContext(ctx, query, name).Scan(&there); err != nil {
		return false, fmt.Errorf("looking for table %s: %w", name, err)
	}
	return there, nil
}

// guard keeps those who were granted all tables to come from writing the ledger and the identity, and strangers (Supabase's front publishes the
// schema to anon and authenticated) from reading them. Whom that is, is up to who made the database, so it is asked of the tables themselves.
func guard(d hub.Dialect) string {
	if d != hub.Postgres {
		return ""
	}
	return `
DO $$ DECLARE g record; BEGIN
  FOR g IN
    SELECT DISTINCT c.oid::regclass AS tab, c.relname AS name, a.grantee AS oid,
      CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS who
    FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
    WHERE c.oid IN ('kitshub_ledger'::regclass, 'kitshub_identity'::regclass, 'kitshub_probe'::regclass) AND a.grantee <> c.relowner
  LOOP
    IF g.who IN ('PUBLIC', 'anon', 'authenticated') THEN
      EXECUTE format('REVOKE ALL ON %s FROM %s', g.tab, g.who);
    ELSIF g.name <> 'kitshub_probe' THEN
      EXECUTE format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON %s FROM %s', g.tab, g.who);
    END IF;
  END LOOP;
END $$;`
}

// lockTimeout is how long a statement that waits for a lock makes everybody behind it wait, too: on Postgres who asks for a strong lock stands
// in the queue before all who come later and only want to read.
const lockTimeout = "SET LOCAL lock_timeout = '500ms'"

// patience is how long a step is tried again that met locks only.
const patience = 15 * time.Second

// politely runs f, which is a transaction of its own, and on Postgres again and again while it fails for nothing but a lock that somebody else
// holds, with pauses that grow and are never the same for two.
func politely(ctx context.Context, d hub.Dialect, f func() error) error {
	pause, end := 20*time.Millisecond, time.Now().Add(patience)
	for {
		err := f()
		if err == nil || d != hub.Postgres || !standsInTheWay(err) || time.Now().After(end) {
			return err
		}
		t := time.NewTimer(pause/2 + rand.N(pause)) //nolint:gosec // jitter needs no secrecy
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
		pause = min(2*pause, time.Second)
	}
}

// brokenReferences describes the first rows that point at nothing. Postgres checks its keys always; SQLite only on connections that ask for it,
// so a script or a program may have left some.
func brokenReferences(ctx context.Context, q querier, d hub.Dialect) (string, error) {
	if d != hub.SQLite {
		return "", nil
	}
	return firstRow(ctx, q, `PRAGMA foreign_key_check`)
}
