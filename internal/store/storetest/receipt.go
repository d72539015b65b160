package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

func newReceipt(key string) *hub.Receipt {
	return &hub.Receipt{Principal: "ip 1", Route: "POST /a", KeyHash: []byte(key), BodyHash: []byte{0, 0xff}, Instance: "ins_1", CreatedAt: base}
}

func takeReceipt(t *testing.T, s hub.Store, r *hub.Receipt) (there *hub.Receipt) {
	t.Helper()
	write(t, s, func(ctx context.Context, tx hub.Tx) (err error) { there, err = tx.TakeReceipt(ctx, r); return err })
	return there
}

func receiptLife(t *testing.T, s hub.Store) {
	r := newReceipt("k")
	equal(t, "first", takeReceipt(t, s, r), (*hub.Receipt)(nil))
	again := newReceipt("k")
	again.BodyHash, again.Instance, again.CreatedAt = []byte("other"), "ins_2", at(time.Hour)
	equal(t, "in flight", takeReceipt(t, s, again), r)

	// Principal, route and key together make the place.
	for _, change := range []func(*hub.Receipt){
		func(r *hub.Receipt) { r.Principal = "ip 2" }, func(r *hub.Receipt) { r.Route = "POST /b" }, func(r *hub.Receipt) { r.KeyHash = []byte("K") },
	} {
		other := newReceipt("k")
		change(other)
		equal(t, "another place", takeReceipt(t, s, other), (*hub.Receipt)(nil))
	}

	r.Status, r.Sealed = 201, []byte{0, 1, 0xff}
	ctx := ctxOf(t)
	stolen := *r
	stolen.Instance = "ins_2"
	if err := s.Write(ctx, func(tx hub.Tx) error { return tx.FinishReceipt(ctx, &stolen) }); !errors.Is(err, hub.ErrConflict) {
		t.Fatalf("finishing what another one holds gave %v", err)
	}
	write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.FinishReceipt(ctx, r) })
	equal(t, "finished", takeReceipt(t, s, again), r)
	if err := s.Write(ctx, func(tx hub.Tx) error { return tx.FinishReceipt(ctx, r) }); !errors.Is(err, hub.ErrConflict) {
		t.Fatalf("finishing twice gave %v", err)
	}
}

func receiptFree(t *testing.T, s hub.Store) {
	free := func(r *hub.Receipt) {
		write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.FreeReceipt(ctx, r) })
	}
	r := newReceipt("k")
	takeReceipt(t, s, r)
	other := *r
	other.Instance = "ins_2"
	free(&other)
	equal(t, "freed by one who does not hold it", takeReceipt(t, s, r), r)
	free(r)
	equal(t, "freed", takeReceipt(t, s, r), (*hub.Receipt)(nil))

	done := *r
	done.Status, done.Sealed = 200, []byte("answer")
	write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.FinishReceipt(ctx, &done) })
	free(r) // still thinks that it is in flight
	equal(t, "a stored answer stays", takeReceipt(t, s, r), &done)
	free(&done)
	equal(t, "freed as it is", takeReceipt(t, s, r), (*hub.Receipt)(nil))

	old, young := newReceipt("old"), newReceipt("young")
	old.CreatedAt = at(-time.Microsecond)
	takeReceipt(t, s, old)
	takeReceipt(t, s, young)
	write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.DeleteReceiptsBefore(ctx, base) })
	equal(t, "young", takeReceipt(t, s, young), young)
	equal(t, "old", takeReceipt(t, s, old), (*hub.Receipt)(nil))
}

// receiptContested: of copies sent at once, one holds the key and each of the others sees it.
func receiptContested(t *testing.T, s hub.Store) {
	const n = 8
	ctx := ctxOf(t)
	there := make([]*hub.Receipt, n)
	allFine(t, together(n, func(i int) error {
		return s.Write(ctx, func(tx hub.Tx) (err error) {
			there[i], err = tx.TakeReceipt(ctx, newReceipt("k"))
			return err
		})
	}))
	won := 0
	for _, r := range there {
		if r == nil {
			won++
			continue
		}
		equal(t, "what the others see", r, newReceipt("k"))
	}
	equal(t, "winners", won, 1)
}
