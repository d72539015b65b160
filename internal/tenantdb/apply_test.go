package tenantdb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
)

var effects = migration("core/0001_effects", "CREATE TABLE effects (n INTEGER NOT NULL);\nINSERT INTO effects VALUES (1);\n")

func TestApplyTwiceIsOnce(t *testing.T) {
	onEach(t, func(t *testing.T, d hub.Dialect, open func() *sql.DB) {
		db := open()
		if sums, err := newDB().Ledger(t.Context(), db, d); err != nil || sums != nil {
			t.Fatalf("ledger of an empty database: %v, %v; want nil", sums, err)
		}
		seed := step(hub.StepSeed, "core/seed", "INSERT INTO effects VALUES (2)")
		apply(t, db, d, effects, seed, effects, seed)
		if n := count(t, db, "SELECT count(*) FROM effects"); n != 2 {
			t.Errorf("%d effects, want 2", n)
		}
		sums, err := newDB().Ledger(t.Context(), db, d)
		if err != nil || len(sums) != 2 || sums[effects.Name] != effects.Source.Checksum || sums[seed.Name] != seed.Source.Checksum {
			t.Errorf("ledger %v, %v", sums, err)
		}
		if n := count(t, db, "SELECT count(*) FROM kitshub_ledger WHERE duration_us > 0 AND length(applied_at) = 27"); n != 2 {
			t.Errorf("%d rows with duration and time, want 2", n)
		}
	})
}

func TestApplyRefusesAnEditedStep(t *testing.T) {
	onEach(t, func(t *testing.T, d hub.Dialect, open func() *sql.DB) {
		db := open()
		apply(t, db, d, effects)
		edited := migration(effects.Name, effects.Source.SQL+"INSERT INTO effects VALUES (2);")
		for _, loose := range []bool{false, true} {
			edited.Source.NoTransaction = loose
			fault := wantFault(t, newDB().Apply(t.Context(), db, d, edited), hub.ClassCatalog, effects.Source.File, 1)
			if !strings.Contains(fault.Error(), "edited") || !strings.Contains(fault.Error(), "new migration") {
				t.Errorf("%v: says neither what happened nor what to do", fault)
			}
		}
		if n := count(t, db, "SELECT count(*) FROM effects"); n != 1 {
			t.Errorf("%d effects, want 1", n)
		}
	})
}

func TestApplyNamesTheLineAndLeavesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, d hub.Dialect, open func() *sql.DB) {
		for name, c := range map[string]struct {
			text string
			line int
		}{
			"unknown table": {"CREATE TABLE a (n INTEGER);\n-- a comment; with a semicolon\n\nINSERT INTO nowhere\nVALUES (1);\nCREATE TABLE b (n INTEGER);", 4},
			"syntax":        {"CREATE TABLE a (n INTEGER);\n\nCREATE TABEL b (n INTEGER);\n", 3},
			"constraint":    {"CREATE TABLE a (n INTEGER PRIMARY KEY);\nINSERT INTO a VALUES (1);\nINSERT INTO a VALUES (2), (1);", 3},
			"same line":     {"CREATE TABLE a (n INTEGER); INSERT INTO a (m) VALUES ('a;b');", 1},
		} {
			t.Run(name, func(t *testing.T) {
				db := open()
				s := migration("shop/"+name, c.text)
				fault := wantFault(t, newDB().Apply(t.Context(), db, d, s), hub.ClassCatalog, s.Source.File, c.line)
				if fault.Code == "" {
					t.Error("the database's own code is missing")
				}
				sums, err := newDB().Ledger(t.Context(), db, d)
				if _, there := sums[s.Name]; err != nil || there {
					t.Errorf("ledger after a failure: %v, %v", sums, err)
				}
				apply(t, db, d, migration(s.Name, "CREATE TABLE a (n INTEGER); DROP TABLE a;")) // the mended step; a is not there
			})
		}
	})
}

func TestApplyRefusesAScriptThatEndsItsTransaction(t *testing.T) {
	onEach(t, func(t *testing.T, d hub.Dialect, open func() *sql.DB) {
		db := open()
		for _, word := range []string{"COMMIT", "rollback", "END", "Begin", "commit\n WORK", "Commit/* now */"} {
			s := migration("shop/0001_own", "CREATE TABLE a (n INTEGER);\n"+word+";\nCREATE TABLE b (n INTEGER);")
			wantRefusal(t, newDB().Apply(t.Context(), db, d, s), hub.ClassCatalog, s.Source.File, 2)
		}
		exec(t, db, "CREATE TABLE a (n INTEGER)") // nothing of it ran
	})
}

func TestApplyWithoutTransaction(t *testing.T) {
	onEach(t, func(t *testing.T, d hub.Dialect, open func() *sql.DB) {
		db := open()
		apply(t, db, d, effects)
		s := migration("core/0002_tidy", "INSERT INTO effects VALUES (2);\nVACUUM;\n") // refused inside a transaction by both engines
		s.Source.NoTransaction = true
		apply(t, db, d, s, s)
		if n := count(t, db, "SELECT count(*) FROM effects"); n != 2 {
			t.Errorf("%d effects, want 2", n)
		}
		bad := migration("core/0003_bad", "INSERT INTO effects VALUES (3);\n\nINSERT INTO nowhere VALUES (1);")
		bad.Source.NoTransaction = true
		wantRefusal(t, newDB().Apply(t.Context(), db, d, bad), hub.ClassCatalog, bad.Source.File, 3)
		if n := count(t, db, "SELECT count(*) FROM kitshub_ledger"); n != 2 {
			t.Errorf("%d ledger rows, want 2", n)
		}
		inside := migration("core/0004_vacuum", "VACUUM")
		wantRefusal(t, newDB().Apply(t.Context(), db, d, inside), hub.ClassCatalog, inside.Source.File, 1)
	})
}

// Workers in different processes have connections of their own; so have these.
func TestApplyByManyWorkersIsOnce(t *testing.T) {
	onEach(t, func(t *testing.T, d hub.Dialect, open func() *sql.DB) {
		const workers = 6
		steps := []hub.Step{
			effects, migration("core/0002", "INSERT INTO effects VALUES (2)"),
			migration("core/0003", "CREATE TABLE more (n INTEGER); INSERT INTO effects VALUES (3);"),
		}
		var wg sync.WaitGroup
		for range workers {
			db := open()
			wg.Go(func() {
				for _, s := range steps {
					if err := newDB().Apply(t.Context(), db, d, s); err != nil {
						t.Errorf("%s: %v", s.Name, err)
					}
				}
			})
		}
		wg.Wait()
		if n := count(t, open(), "SELECT count(*) FROM effects"); n != len(steps) {
			t.Errorf("%d effects, want %d", n, len(steps))
		}
	})
}

func TestApplyEndsWithItsContext(t *testing.T) {
	onEach(t, func(t *testing.T, d hub.Dialect, open func() *sql.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := newDB().Apply(ctx, open(), d, effects)
		var fault *hub.StepError
		if !errors.Is(err, context.Canceled) || errors.As(err, &fault) {
			t.Errorf("got %v (%T), want the context's own error", err, err)
		}
	})
}

func TestApplyRefusesOtherKinds(t *testing.T) {
	onEach(t, func(t *testing.T, d hub.Dialect, open func() *sql.DB) {
		wantRefusal(t, newDB().Apply(t.Context(), open(), d, step(hub.StepCheck, "core/check", "SELECT 1")), hub.ClassBug, "", 0)
	})
}

func TestApplyClassifiesSQLite(t *testing.T) {
	open := engines[0].fresh(t)
	db := open()
	apply(t, db, hub.SQLite, effects)
	t.Run("full", func(t *testing.T) {
		db.SetMaxOpenConns(1) // the limit is the connection's
		exec(t, db, "PRAGMA max_page_count = 10")
		s := migration("core/0002_big", "CREATE TABLE big (b BLOB);\nINSERT INTO big VALUES (zeroblob(1000000));")
		fault := wantFault(t, newDB().Apply(t.Context(), db, hub.SQLite, s), hub.ClassQuota, s.Source.File, 0)
		if fault.Code != "SQLITE_FULL" {
			t.Errorf("code %q", fault.Code)
		}
		exec(t, db, "PRAGMA max_page_count = 100000")
		apply(t, db, hub.SQLite, s) // heals by itself
	})
	t.Run("busy", func(t *testing.T) {
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback() }()
		if _, err := tx.ExecContext(t.Context(), "INSERT INTO effects VALUES (9)"); err != nil {
			t.Fatal(err)
		}
		other := open()
		other.SetMaxOpenConns(1)
		exec(t, other, "PRAGMA busy_timeout = 1")
		fault := wantFault(t, newDB().Apply(t.Context(), other, hub.SQLite, migration("core/0003", "DELETE FROM effects")), hub.ClassNetwork, "", 0)
		if fault.Code != "SQLITE_BUSY" {
			t.Errorf("code %q", fault.Code)
		}
	})
}

func TestApplyNamesADeferredConstraint(t *testing.T) {
	onEach(t, func(t *testing.T, d hub.Dialect, open func() *sql.DB) {
		s := migration("core/0001_late", `CREATE TABLE p (id INTEGER PRIMARY KEY);
			CREATE TABLE c (p INTEGER REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED);
			INSERT INTO c VALUES (7);`)
		db := open()
		wantRefusal(t, newDB().Apply(t.Context(), db, d, s), hub.ClassCatalog, s.Source.File, 0)
		apply(t, db, d, effects)
	})
}

func TestApplyRefusesAScriptThatTakesItsRowAway(t *testing.T) {
	onEach(t, func(t *testing.T, d hub.Dialect, open func() *sql.DB) {
		db := open()
		s := migration("core/0001_greedy", "CREATE TABLE a (n INTEGER); DELETE FROM kitshub_ledger;")
		wantRefusal(t, newDB().Apply(t.Context(), db, d, s), hub.ClassCatalog, s.Source.File, 0)
		exec(t, db, "CREATE TABLE a (n INTEGER)") // nothing of it stayed
	})
}

// A step that meets a lock steps back and comes again, so that those who come after it are not held up; when the lock is gone it goes through.
// So does DDL of a script that runs in no transaction.
func TestApplyWaitsForALockWithoutStandingInTheWay(t *testing.T) {
	for _, loose := range []bool{false, true} {
		t.Run(fmt.Sprintf("loose=%t", loose), func(t *testing.T) {
			db := engines[1].fresh(t)()
			apply(t, db, hub.Postgres, effects)
			tx, err := db.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.ExecContext(t.Context(), "SELECT * FROM effects"); err != nil { // a reader in a long transaction
				t.Fatal(err)
			}
			s := migration("core/0002_column", "ALTER TABLE effects ADD COLUMN IF NOT EXISTS m INTEGER")
			s.Source.NoTransaction = loose
			done := make(chan error, 1)
			go func() { done <- newDB().Apply(t.Context(), db, hub.Postgres, s) }()
			waits := map[string]bool{} // by when they began: with the second it has stepped back once
			for len(waits) < 2 {
				stillAtIt(t, done)
				var since sql.NullString
				err := db.QueryRowContext(t.Context(), "SELECT max(waitstart)::text FROM pg_locks WHERE NOT granted AND relation = 'effects'::regclass").Scan(&since)
				if err != nil {
					t.Fatal(err)
				}
				if since.Valid {
					waits[since.String] = true
				}
				if n := count(t, db, "SELECT count(*) FROM effects"); n != 1 { // other readers get through between the tries
					t.Fatalf("%d effects", n)
				}
			}
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Errorf("after the lock was gone: %v", err)
			}
		})
	}
}

// Whoever was granted all tables to come may read what the hub keeps in the database, and not write it; strangers may not even read it.
func TestWhatTheHubKeepsIsGuarded(t *testing.T) {
	db := engines[1].fresh(t)()
	db.SetMaxOpenConns(1)
	exec(t, db, `DO $$ BEGIN CREATE ROLE kits_test_reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
		ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO kits_test_reader, PUBLIC`)
	t.Cleanup(func() {
		_, _ = db.ExecContext(context.Background(), `RESET ROLE; DROP OWNED BY kits_test_reader; DROP ROLE kits_test_reader`)
	})
	apply(t, db, hub.Postgres, effects)
	for table, want := range map[string]string{
		"kitshub_ledger": "SELECT", "kitshub_identity": "SELECT", "kitshub_probe": "DELETE INSERT REFERENCES SELECT TRIGGER TRUNCATE UPDATE",
	} {
		var got string
		err := db.QueryRowContext(t.Context(), `SELECT string_agg(privilege_type, ' ' ORDER BY privilege_type) FROM pg_class, aclexplode(relacl)
			WHERE relname = $1 AND grantee <> relowner`, table).Scan(&got)
		if err != nil || got != want {
			t.Errorf("on %s others have %q, %v; want %q", table, got, err, want)
		}
	}
}
