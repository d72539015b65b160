package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

func operationLife(t *testing.T, s hub.Store) {
	a := &hub.Operation{ID: "op_1", Kind: "provision", Target: "req_1", CreatedAt: at(time.Microsecond)}
	b := &hub.Operation{ID: "op_2", Kind: "provision", Target: "req_2", CreatedAt: base}
	done := &hub.Operation{ID: "op_0", Kind: "provision", Target: "req_1", Error: "old", CreatedAt: base, FinishedAt: ref(at(time.Second))}
	write(t, s, func(ctx context.Context, tx hub.Tx) error {
		return errors.Join(tx.InsertOperation(ctx, a), tx.InsertOperation(ctx, b), tx.InsertOperation(ctx, done))
	})
	find := func(id string) *hub.Operation {
		return get(t, s, func(ctx context.Context, tx hub.Tx) (*hub.Operation, error) { return tx.Operation(ctx, id) })
	}
	for _, want := range []*hub.Operation{a, b, done} {
		equal(t, want.ID, find(want.ID), want)
	}
	open := func(target string) (o *hub.Operation, found bool) {
		read(t, s, func(ctx context.Context, tx hub.Tx) (err error) {
			o, found, err = tx.OpenOperation(ctx, target)
			return err
		})
		return o, found
	}
	o, found := open("req_1")
	equal(t, "open one found", found, true)
	equal(t, "open one", o, a)

	var now time.Time
	write(t, s, func(ctx context.Context, tx hub.Tx) error {
		now = tx.Now()
		return tx.FinishOperations(ctx, "req_1", "it's broken")
	})
	a.Error, a.FinishedAt = "it's broken", &now
	equal(t, "finished", find("op_1"), a)
	equal(t, "of another target", find("op_2"), b)
	equal(t, "finished before", find("op_0"), done)
	_, found = open("req_1")
	equal(t, "open one found afterwards", found, false)
	write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.FinishOperations(ctx, "req_none", "") }) // none is fine
	write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.FinishOperations(ctx, "req_2", "") })
	got := find("op_2")
	equal(t, "finished well", got.FinishedAt != nil && got.Error == "", true)
}
