package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

func someSteps() []hub.StepRecord {
	return []hub.StepRecord{
		{Seq: 1, Name: "create", Kind: hub.StepCreate, Title: "Create", Status: hub.StepDone, StartedAt: ref(base), FinishedAt: ref(at(time.Microsecond)), Tries: 1},
		{
			Seq: 2, Name: "crm/0001", Kind: hub.StepMigrate, Title: "Set up »CRM« 🚀", Status: hub.StepFailed, StartedAt: ref(base), Tries: 3,
			Failure: &hub.Failure{Step: "crm/0001", Class: hub.ClassCatalog, File: "a.sql", Line: 3, Cause: "it's\nbroken", Action: "a", Customer: "c", Tries: 3},
		},
		{Seq: 3, Name: "probe", Kind: hub.StepProbe, Title: "Probe", Status: hub.StepPending},
	}
}

func stepsOf(t *testing.T, s hub.Store, id string) []hub.StepRecord {
	t.Helper()
	return get(t, s, func(ctx context.Context, tx hub.Tx) ([]hub.StepRecord, error) { return tx.Steps(ctx, id) })
}

func steps(t *testing.T, s hub.Store) {
	r, other := add(t, s), add(t, s)
	equal(t, "steps before there are any", len(stepsOf(t, s, r.ID)), 0)
	want := someSteps()
	write(t, s, func(ctx context.Context, tx hub.Tx) error {
		return errors.Join(tx.PutSteps(ctx, r.ID, want), tx.PutSteps(ctx, other.ID, someSteps()))
	})
	equal(t, "steps", stepsOf(t, s, r.ID), want)

	want[1].Status, want[1].Failure, want[1].FinishedAt, want[1].Tries = hub.StepDone, nil, ref(at(time.Hour)), 4
	write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.UpdateSteps(ctx, r.ID, want[1:2]) })
	equal(t, "after an update", stepsOf(t, s, r.ID), want)
	equal(t, "another request's steps", stepsOf(t, s, other.ID), someSteps())

	for i := range want {
		want[i].Tries++
	}
	write(t, s, func(ctx context.Context, tx hub.Tx) error {
		return errors.Join(tx.UpdateSteps(ctx, r.ID, want), tx.UpdateSteps(ctx, other.ID, nil))
	})
	equal(t, "after an update of all", stepsOf(t, s, r.ID), want)
	equal(t, "another request's steps", stepsOf(t, s, other.ID), someSteps())

	many := make([]hub.StepRecord, 1050) // more than go into one statement
	for i := range many {
		many[i] = hub.StepRecord{Seq: i + 1, Name: fmt.Sprintf("core/%d", i), Kind: hub.StepMigrate, Status: hub.StepPending}
	}
	write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.PutSteps(ctx, r.ID, many) })
	equal(t, "many steps", stepsOf(t, s, r.ID), many)
}

func stepsAreReplaced(t *testing.T, s hub.Store) {
	r := add(t, s)
	for _, want := range [][]hub.StepRecord{someSteps(), someSteps()[:1], {}, someSteps()} {
		write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.PutSteps(ctx, r.ID, want) })
		got := stepsOf(t, s, r.ID)
		equal(t, "number of steps", len(got), len(want))
		if len(want) > 0 {
			equal(t, "replaced", got, want)
		}
	}
	ctx := ctxOf(t)
	if err := s.Write(ctx, func(tx hub.Tx) error { return tx.PutSteps(ctx, "req_none", someSteps()) }); err == nil {
		t.Error("steps of no request were kept")
	}
	undone(t, s, func(ctx context.Context, tx hub.Tx) {
		if err := tx.PutSteps(ctx, r.ID, nil); err != nil {
			t.Fatal(err)
		}
	})
	equal(t, "after a rollback", stepsOf(t, s, r.ID), someSteps())
}
