package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/store"
	"github.com/kitshub/kitshub/internal/testkit/pgserver"
)

func customer(n int, name string) *hub.Customer {
	return &hub.Customer{ID: fmt.Sprintf("cus_%d", n), Email: fmt.Sprintf("c%d@example.com", n), CompanyName: name, ContactName: "x", CreatedAt: time.Now()}
}

func insertCustomer(ctx context.Context, s *store.Store, c *hub.Customer) error {
	return s.Write(ctx, func(tx hub.Tx) error { return tx.InsertCustomer(ctx, c) })
}

// TestDiskFull: writes are refused with a clear error, reads go on, nothing of the refused stays, and it heals without a restart.
func TestDiskFull(t *testing.T) {
	s := openSQLite(t)
	ctx := t.Context()
	pages := query(t, s, `PRAGMA page_count`, func(r *sql.Rows) (n int, err error) { return n, r.Scan(&n) })[0]
	limit := func(n int) {
		query(t, s, fmt.Sprintf(`PRAGMA max_page_count = %d`, n), func(r *sql.Rows) (n int, err error) { return n, r.Scan(&n) })
	}
	limit(pages + 10)
	big := strings.Repeat("x", 20_000)
	var full error
	stored := 0
	for ; stored < 20; stored++ {
		if full = insertCustomer(ctx, s, customer(stored, big)); full != nil {
			break
		}
	}
	var e *hub.Error
	if !errors.As(full, &e) || e.Code != hub.CodeUnavailable || !strings.Contains(e.Message, "disk is full") {
		t.Fatalf("after %d rows: %v", stored, full)
	}
	for range 5 { // still full, and still the same answer: the one writer is not stuck in a transaction
		if err := insertCustomer(ctx, s, customer(stored, big)); !hub.IsCode(err, hub.CodeUnavailable) {
			t.Fatalf("once more: %v", err)
		}
	}
	there := func(n int) bool {
		err := s.Read(ctx, func(tx hub.Tx) error { _, err := tx.CustomerByEmail(ctx, customer(n, "").Email); return err })
		if err != nil && !hub.IsCode(err, hub.CodeNotFound) {
			t.Fatalf("reading on a full disk: %v", err)
		}
		return err == nil
	}
	same(t, "the last one stored is there", there(stored-1), true)
	same(t, "the refused one is there", there(stored), false)
	limit(1 << 30)
	if err := insertCustomer(ctx, s, customer(stored, big)); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	same(t, "PRAGMA integrity_check", query(t, s, `PRAGMA integrity_check`, scanText), []string{"ok"})
}

// TestSQLiteIsBusy: another process (the command line) that holds the write lock too long makes the hub unavailable, not broken.
func TestSQLiteIsBusy(t *testing.T) {
	dir := t.TempDir()
	s, other := sqliteIn(t, dir), sqliteIn(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := other.Write(t.Context(), func(hub.Tx) error { return insertCustomer(ctx, s, customer(1, "x")) })
	if !hub.IsCode(err, hub.CodeUnavailable) {
		t.Fatalf("while another process wrote: %v", err)
	}
	if err := insertCustomer(t.Context(), s, customer(1, "x")); err != nil {
		t.Fatalf("afterwards: %v", err)
	}
}

// TestPostgresGone: however the server goes, every call says UNAVAILABLE while it is away, and works when it is back, without a restart.
func TestPostgresGone(t *testing.T) {
	srv, err := pgserver.Start(t.Context(), pgserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Stop(); err != nil {
			t.Error(err)
		}
	})
	db, err := pgserver.CreateDatabase(t.Context(), srv.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	s := postgresAt(t, db.URL)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, how := range []pgserver.Signal{pgserver.Fast, pgserver.Immediate, pgserver.Crash} {
		t.Run(string(how), func(t *testing.T) {
			n++
			goesInside(ctx, t, s, srv, how, n)
			for s.Ping(ctx) == nil { // the children of a killed server notice a moment later
				if ctx.Err() != nil {
					t.Fatal("a server that was stopped still answers")
				}
			}
			for what, err := range map[string]error{
				"Ping":        s.Ping(ctx),
				"Read":        s.Read(ctx, func(hub.Tx) error { t.Error("ran"); return nil }),
				"Write":       s.Write(ctx, func(hub.Tx) error { t.Error("ran"); return nil }),
				"LoadKeyring": func() error { _, err := s.LoadKeyring(ctx); return err }(),
				"Migrate":     s.Migrate(ctx),
			} {
				if !hub.IsCode(err, hub.CodeUnavailable) {
					t.Errorf("%s while the server is away: %v", what, err)
				}
			}
			if err := srv.Resume(ctx); err != nil {
				t.Fatal(err)
			}
			if err := s.Ping(ctx); err != nil { // the pool must not hand out a connection that died
				t.Errorf("Ping at once: %v", err)
			}
			if err := insertCustomer(ctx, s, customer(n, "x")); err != nil {
				t.Errorf("when it is back: %v", err)
			}
		})
	}
}

// goesInside stops the server in the middle of a transaction, before a statement and before the commit.
func goesInside(ctx context.Context, t *testing.T, s *store.Store, srv *pgserver.Server, how pgserver.Signal, n int) {
	t.Helper()
	ran := 0
	err := s.Write(ctx, func(tx hub.Tx) error {
		if ran++; ran > 1 {
			return errors.New("run again though the database is gone")
		}
		if err := tx.InsertCustomer(ctx, customer(n, "x")); err != nil {
			return err
		}
		if err := srv.Halt(how); err != nil {
			return err
		}
		return untilGone(ctx, tx)
	})
	if !hub.IsCode(err, hub.CodeUnavailable) {
		t.Errorf("a statement to a server that is gone (%s): %v", how, err)
	}
	if err := srv.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	err = s.Write(ctx, func(tx hub.Tx) error {
		if err := tx.InsertCustomer(ctx, customer(n+200, "x")); err != nil {
			return err
		}
		if err := srv.Halt(how); err != nil {
			return err
		}
		if how == pgserver.Crash {
			_ = untilGone(ctx, tx) // the commit shall meet a dead connection
		}
		return nil
	})
	if !hub.IsCode(err, hub.CodeUnavailable) {
		t.Errorf("a commit to a server that is gone (%s): %v", how, err)
	}
	if err != nil && strings.Contains(err.Error(), "Nothing was changed") {
		t.Errorf("a commit that was not heard of claims: %v", err)
	}
}

// untilGone asks until the connection of the transaction is dead, and gives what it died of.
func untilGone(ctx context.Context, tx hub.Tx) error {
	for {
		if _, err := tx.CountOperators(ctx); err != nil {
			return err
		}
	}
}

// TestDeadlockIsRunAgain: two transactions that lock crosswise both come through.
func TestDeadlockIsRunAgain(t *testing.T) {
	s := openPostgres(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for i := range 2 {
		c := customer(i, "x")
		r := &hub.Request{ID: fmt.Sprintf("req_%d", i), CustomerID: c.ID, Way: hub.Automatic, State: hub.Pending, EnqueuedAt: time.Now(), UpdatedAt: time.Now()}
		if err := s.Write(ctx, func(tx hub.Tx) error { return errors.Join(tx.InsertCustomer(ctx, c), tx.InsertRequest(ctx, r)) }); err != nil {
			t.Fatal(err)
		}
	}
	held := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
	errs := make(chan error, 2)
	runs := [2]int{}
	for i := range 2 {
		go func() {
			errs <- s.Write(ctx, func(tx hub.Tx) error {
				runs[i]++
				if _, err := tx.LockRequest(ctx, fmt.Sprintf("req_%d", i)); err != nil {
					return err
				}
				if runs[i] == 1 { // both hold one before either asks for the other
					close(held[i])
					select {
					case <-held[1-i]:
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				_, err := tx.LockRequest(ctx, fmt.Sprintf("req_%d", 1-i))
				return err
			})
		}()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if runs[0]+runs[1] < 3 { // more where the loser came back before the winner had woken up
		t.Errorf("%v runs; one of the two should have been run again", runs)
	}
}
