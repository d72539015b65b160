package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// TestLockNextPassesOverHeld: where two can write at once, one who takes from the line does not wait for another who is at it; and who asks for
// a held one by its id waits.
func TestLockNextPassesOverHeld(t *testing.T) {
	s := openPostgres(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for i := range 2 {
		c := customer(i, "x")
		r := &hub.Request{ID: fmt.Sprintf("req_%d", i), CustomerID: c.ID, Way: hub.Automatic, State: hub.Pending, EnqueuedAt: time.Now(), UpdatedAt: time.Now()}
		if err := s.Write(ctx, func(tx hub.Tx) error { return errors.Join(tx.InsertCustomer(ctx, c), tx.InsertRequest(ctx, r)) }); err != nil {
			t.Fatal(err)
		}
	}
	next := func(tx hub.Tx) (string, error) {
		r, found, err := tx.LockNext(ctx)
		if err != nil || !found {
			return "", err
		}
		return r.ID, nil
	}
	var got []string
	take := func(tx hub.Tx) error {
		id, err := next(tx)
		got = append(got, id)
		return err
	}
	err := s.Write(ctx, func(tx hub.Tx) error {
		if err := take(tx); err != nil {
			return err
		}
		return s.Write(ctx, func(tx hub.Tx) error {
			if err := take(tx); err != nil {
				return err
			}
			return s.Write(ctx, take)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "taken at once", got, []string{"req_0", "req_1", ""})

	err = s.Write(ctx, func(tx hub.Tx) error {
		if _, err := tx.LockRequest(ctx, "req_0"); err != nil {
			return err
		}
		soon, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		held := s.Write(soon, func(tx hub.Tx) error { _, err := tx.LockRequest(soon, "req_0"); return err })
		if !hub.IsCode(held, hub.CodeUnavailable) {
			t.Errorf("asking for a held one gave %v", held)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
