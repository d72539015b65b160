package tenantdb_test

import (
	"context"
	"database/sql"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/testkit"
)

// messages counts what a connection sends.
type messages struct{ atomic.Int32 }

func (m *messages) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	m.Add(1)
	return ctx
}

func (*messages) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func TestAStepIsOneRoundTripOnPostgres(t *testing.T) {
	cfg, err := pgx.ParseConfig(testkit.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	sent := &messages{}
	cfg.Tracer = sent
	db := stdlib.OpenDB(*cfg)
	t.Cleanup(func() { _ = db.Close() })
	apply(t, db, hub.Postgres, effects) // makes the ledger, too
	before := sent.Load()
	apply(t, db, hub.Postgres, migration("core/0002_two", "INSERT INTO effects VALUES (2);\nINSERT INTO effects VALUES (3); -- and no more"))
	if n := sent.Load() - before; n != 1 {
		t.Errorf("a step takes %d round trips", n)
	}
	if n := count(t, db, "SELECT count(*) FROM effects, kitshub_ledger"); n != 3*2 {
		t.Errorf("%d rows", n)
	}
}

// An index that was being made outside of a transaction when its maker died is there and not valid: it is made again, not taken for done.
func TestAnIndexThatIsNotValidIsMadeAgain(t *testing.T) {
	db := engines[1].fresh(t)()
	apply(t, db, hub.Postgres, migration("core/0001", `CREATE SCHEMA shop; CREATE TABLE shop."Things" (n INTEGER); INSERT INTO shop."Things" VALUES (1), (1)`))
	s := migration("core/0002_index", "-- kitshub:no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS \"things N\"\n  ON shop.\"Things\" (n);")
	s.Source.NoTransaction = true
	const left = `SELECT count(*) FROM pg_index WHERE indexrelid::regclass::text = 'shop."things N"' AND indisvalid = `
	wantRefusal(t, newDB().Apply(t.Context(), db, hub.Postgres, s), hub.ClassCatalog, s.Source.File, 2)
	if n := count(t, db, left+`false`); n != 1 {
		t.Fatalf("%d indexes that are not valid; this shows nothing", n)
	}
	exec(t, db, `DELETE FROM shop."Things"`)
	apply(t, db, hub.Postgres, s, s)
	if n := count(t, db, left+`true`); n != 1 {
		t.Errorf("%d valid indexes", n)
	}
	exec(t, db, `DELETE FROM kitshub_ledger WHERE step = 'core/0002_index'`) // as after a kill between the index and the row
	apply(t, db, hub.Postgres, s)
	if n := count(t, db, left+`true`); n != 1 {
		t.Errorf("%d valid indexes after a repeat", n)
	}
}

// The server ends the session in the middle of making an index, as when it goes away: the same step goes through when it is taken up.
func TestAnIndexIsTakenUp(t *testing.T) {
	db := engines[1].fresh(t)()
	apply(t, db, hub.Postgres, effects)
	reader, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead}) // an old snapshot, for which the index waits
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.ExecContext(t.Context(), "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	s := migration("core/0002_index", "CREATE INDEX CONCURRENTLY IF NOT EXISTS effects_n ON effects (n)")
	s.Source.NoTransaction = true
	done := make(chan error, 1)
	go func() { done <- newDB().Apply(t.Context(), db, hub.Postgres, s) }()
	for ended := 0; ended == 0; {
		stillAtIt(t, done)
		ended = count(t, db, `SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND starts_with(query, 'CREATE INDEX')`)
	}
	fault := wantFault(t, <-done, hub.ClassNetwork, s.Source.File, 1)
	if fault.Code != "57P01" {
		t.Errorf("code %q", fault.Code)
	}
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db, "SELECT count(*) FROM pg_index WHERE NOT indisvalid"); n != 1 {
		t.Fatalf("%d indexes that are not valid; this shows nothing", n)
	}
	apply(t, db, hub.Postgres, s)
	if n := count(t, db, "SELECT count(*) FROM pg_index WHERE indexrelid = 'effects_n'::regclass AND indisvalid"); n != 1 {
		t.Error("the index is not valid")
	}
}
