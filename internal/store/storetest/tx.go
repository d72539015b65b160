package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

func rollbackLeavesNothing(t *testing.T, s hub.Store) {
	var r *hub.Request
	undone(t, s, func(ctx context.Context, tx hub.Tx) {
		var err error
		if r, err = insert(ctx, tx); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Request(ctx, r.ID); err != nil {
			t.Fatalf("a transaction sees what it wrote: %v", err)
		}
	})
	gone(t, s, r.ID)
}

func gone(t *testing.T, s hub.Store, id string) {
	t.Helper()
	ctx := ctxOf(t)
	wantCode(t, s.Read(ctx, func(tx hub.Tx) error { _, err := tx.Request(ctx, id); return err }), hub.CodeNotFound)
}

// more than any pool holds: a leaked connection stops the loop.
const moreThanConnections = 30

func panicRollsBack(t *testing.T, s hub.Store) {
	var last string
	for _, call := range []func(context.Context, func(hub.Tx) error) error{s.Write, s.Read} {
		for range moreThanConnections {
			func() {
				defer func() {
					if p := recover(); p != "as planned" {
						t.Fatalf("recovered %v", p)
					}
				}()
				ctx := ctxOf(t)
				_ = call(ctx, func(tx hub.Tx) error {
					if r, err := insert(ctx, tx); err == nil { // Read refuses it
						last = r.ID
					}
					panic("as planned")
				})
			}()
		}
	}
	gone(t, s, last)
	add(t, s)
}

func cancelledContext(t *testing.T, s hub.Store) {
	for i := range moreThanConnections {
		ctx, cancel := context.WithCancel(t.Context())
		var id string
		err := s.Write(ctx, func(tx hub.Tx) error {
			r, err := insert(ctx, tx)
			if err != nil {
				return err
			}
			id = r.ID
			cancel()
			if i%2 == 0 { // a function that does not notice must not be committed either
				return nil
			}
			_, err = tx.Request(ctx, id)
			return err
		})
		if err == nil {
			t.Fatalf("try %d: a transaction whose context ended was committed", i)
		}
		gone(t, s, id)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Write(ended, func(hub.Tx) error { t.Error("ran under an ended context"); return nil }); !errors.Is(err, context.Canceled) {
		t.Fatalf("under an ended context Write gave %v", err)
	}
	if err := s.Read(ended, func(hub.Tx) error { t.Error("ran under an ended context"); return nil }); !errors.Is(err, context.Canceled) {
		t.Fatalf("under an ended context Read gave %v", err)
	}
	late, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	wantCode(t, s.Write(late, func(hub.Tx) error { return nil }), hub.CodeUnavailable)
	add(t, s)
}

func runAgainAfterConflict(t *testing.T, s hub.Store) {
	runs := 0
	var ids []string
	write(t, s, func(ctx context.Context, tx hub.Tx) error {
		runs++
		r, err := insert(ctx, tx)
		if err != nil {
			return err
		}
		ids = append(ids, r.ID)
		if runs < 3 {
			return hub.ErrConflict
		}
		return nil
	})
	equal(t, "runs", runs, 3)
	gone(t, s, ids[0])
	gone(t, s, ids[1])
	request(t, s, ids[2])

	runs = 0
	if err := s.Write(ctxOf(t), func(hub.Tx) error { runs++; return hub.ErrConflict }); !errors.Is(err, hub.ErrConflict) {
		t.Fatalf("a conflict that stays gave %v", err)
	}
	if runs < 2 || runs > 20 {
		t.Fatalf("%d runs", runs)
	}
	runs = 0
	refusal := hub.E(hub.CodeForbidden, "No.", "")
	if err := s.Write(ctxOf(t), func(hub.Tx) error { runs++; return refusal }); err != error(refusal) || runs != 1 { //nolint:errorlint // the very same
		t.Fatalf("a refusal came back as %v after %d runs", err, runs)
	}
}

func readIsOneSnapshot(t *testing.T, s hub.Store) {
	add(t, s)
	count := func(ctx context.Context, tx hub.Tx) int {
		l, err := tx.ListRequests(ctx, hub.RequestFilter{})
		if err != nil {
			t.Fatal(err)
		}
		return len(l)
	}
	read(t, s, func(ctx context.Context, tx hub.Tx) error {
		before := count(ctx, tx)
		add(t, s) // commits while this snapshot is open
		equal(t, "requests in the same snapshot", count(ctx, tx), before)
		a, err := tx.Ahead(ctx, hub.LineKey{Priority: -1}, hub.Automatic)
		equal(t, "counted in the same snapshot", a.All, before)
		return err
	})
	read(t, s, func(ctx context.Context, tx hub.Tx) error {
		equal(t, "requests afterwards", count(ctx, tx), 2)
		return nil
	})
}

func readRefusesWrites(t *testing.T, s hub.Store) {
	r := add(t, s)
	for name, fn := range map[string]func(context.Context, hub.Tx) error{
		"insert": func(ctx context.Context, tx hub.Tx) error { return tx.InsertCustomer(ctx, newCustomer()) },
		"update": func(ctx context.Context, tx hub.Tx) error {
			c := *r
			c.Notes = "changed"
			return tx.UpdateRequest(ctx, &c)
		},
		"delete": func(ctx context.Context, tx hub.Tx) error { return tx.DeleteSetupTokens(ctx) },
	} {
		ctx := ctxOf(t)
		if err := s.Read(ctx, func(tx hub.Tx) error { return fn(ctx, tx) }); err == nil {
			t.Errorf("Read let an %s through", name)
		}
	}
	equal(t, "notes", request(t, s, r.ID).Notes, "")
	add(t, s) // the refusals left nothing behind
}

func nowIsOneInstant(t *testing.T, s hub.Store) {
	var last time.Time
	for i := range 50 {
		look := func(ctx context.Context, tx hub.Tx) error {
			now := tx.Now()
			if _, err := tx.CountOperators(ctx); err != nil {
				return err
			}
			equal(t, "Now, asked again", tx.Now(), now)
			equal(t, "Now in UTC to the microsecond", now.UTC().Truncate(time.Microsecond), now)
			if now.Before(last) {
				t.Errorf("transaction %d began at %v, before the one before at %v", i, now, last)
			}
			if off := time.Since(now); off > time.Minute || off < -time.Minute {
				t.Errorf("Now is off by %v", off)
			}
			last = now
			return nil
		}
		write(t, s, look)
		read(t, s, look)
	}
}

func pingAnswers(t *testing.T, s hub.Store) {
	if err := s.Ping(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
}
