// Package storetest is what every engine of hub.Store must do: one file per topic, beside the topic's rule in hub and its SQL in store. A
// change of behaviour starts here.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kitshub/kitshub/internal/hub"
)

// Run runs the suite. open gives an empty, migrated store that nobody else uses; it closes it when the test ends.
func Run(t *testing.T, open func(t testing.TB) hub.Store) {
	for _, topic := range []struct {
		name string
		test func(*testing.T, hub.Store)
	}{
		{"tx/rollback", rollbackLeavesNothing},
		{"tx/panic", panicRollsBack},
		{"tx/cancel", cancelledContext},
		{"tx/again", runAgainAfterConflict},
		{"tx/snapshot", readIsOneSnapshot},
		{"tx/readonly", readRefusesWrites},
		{"tx/now", nowIsOneInstant},
		{"tx/ping", pingAnswers},
		{"request/round-trip", requestRoundTrip},
		{"request/texts", textsSurvive},
		{"request/update", requestUpdate},
		{"request/one-live", oneLiveRequest},
		{"request/one-live-contested", oneLiveRequestContested},
		{"request/unknown", unknownRequest},
		{"request/status-token", statusToken},
		{"request/refused", impossibleRequest},
		{"line/positions", positionsAreTheTruth},
		{"line/list", listsMatchModel},
		{"line/search", searchIsLiteral},
		{"line/counts", countsMatchModel},
		{"claim/next", lockNextOrder},
		{"claim/next-contested", lockNextContested},
		{"claim/lock", lockSeesWhatTheOtherWrote},
		{"claim/abandoned", abandonedRequests},
		{"claim/automatic", pendingAutomatic},
		{"step", steps},
		{"step/replace", stepsAreReplaced},
		{"tenant", tenantRoundTrip},
		{"tenant/list", tenantList},
		{"tenant/places", tenantPlaces},
		{"tenant/unique", tenantIsUnique},
		{"pool", memberRoundTrip},
		{"pool/slot", memberSlots},
		{"pool/slot-contested", memberSlotContested},
		{"pool/ready", readyMembers},
		{"pool/ready-contested", readyMembersContested},
		{"pool/feature-sets", featureSets},
		{"operator", operatorRoundTrip},
		{"operator/working", operatorsWorking},
		{"operator/session", sessions},
		{"operator/token", apiTokens},
		{"operator/setup", setupTokens},
		{"operator/setup-contested", setupTokenContested},
		{"audit", auditLog},
		{"audit/pages", auditPages},
		{"receipt", receiptLife},
		{"receipt/free", receiptFree},
		{"receipt/contested", receiptContested},
		{"operation", operationLife},
		{"instance", instanceLife},
		{"instance/bury", buryInstances},
	} {
		t.Run(topic.name, func(t *testing.T) {
			t.Parallel() // each has its store; the time goes into making them
			topic.test(t, open(t))
		})
	}
}

// base is the fixed time of all rows; it has microseconds, so that a lost digit shows.
var base = time.Date(2026, time.March, 14, 9, 26, 53, 589793000, time.UTC)

func at(d time.Duration) time.Time { return base.Add(d) }

func ref[T any](v T) *T { return &v }

// patience is how long a test waits for what should come at once.
const patience = 30 * time.Second

func ctxOf(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func write(t testing.TB, s hub.Store, fn func(context.Context, hub.Tx) error) {
	t.Helper()
	ctx := ctxOf(t)
	if err := s.Write(ctx, func(tx hub.Tx) error { return fn(ctx, tx) }); err != nil {
		t.Fatalf("Write: %v", err)
	}
}

func read(t testing.TB, s hub.Store, fn func(context.Context, hub.Tx) error) {
	t.Helper()
	ctx := ctxOf(t)
	if err := s.Read(ctx, func(tx hub.Tx) error { return fn(ctx, tx) }); err != nil {
		t.Fatalf("Read: %v", err)
	}
}

// get reads one value.
func get[T any](t testing.TB, s hub.Store, fn func(context.Context, hub.Tx) (T, error)) T {
	t.Helper()
	var v T
	read(t, s, func(ctx context.Context, tx hub.Tx) (err error) { v, err = fn(ctx, tx); return err })
	return v
}

// errUndo ends a transaction of which nothing shall stay.
var errUndo = errors.New("undo")

// undone runs fn in a transaction that is rolled back, so that a property can be tried a hundred times on one store.
func undone(t testing.TB, s hub.Store, fn func(context.Context, hub.Tx)) {
	t.Helper()
	ctx := ctxOf(t)
	err := s.Write(ctx, func(tx hub.Tx) error { fn(ctx, tx); return errUndo })
	if !errors.Is(err, errUndo) {
		t.Fatalf("Write gave %v, not the error of its function", err)
	}
}

// tb is what *testing.T and *rapid.T share.
type tb interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func wantCode(t tb, err error, code hub.Code) {
	t.Helper()
	if !hub.IsCode(err, code) {
		t.Fatalf("got %v (%s), want %s", err, hub.CodeOf(err), code)
	}
}

func equal(t tb, what string, got, want any, opts ...cmp.Option) {
	t.Helper()
	if d := cmp.Diff(want, got, opts...); d != "" {
		t.Fatalf("%s (-want +got):\n%s", what, d)
	}
}

var serial atomic.Int64

// id makes ids that ascend in the order of the calls.
func id(prefix string) string { return fmt.Sprintf("%s%010d", prefix, serial.Add(1)) }

func newCustomer() *hub.Customer {
	n := id("")
	return &hub.Customer{
		ID: "cus_" + n, Email: "c" + n + "@example.com", CompanyName: "Company " + n, ContactName: "Contact " + n, CreatedAt: base,
	}
}

func newRequest(c *hub.Customer, set ...func(*hub.Request)) *hub.Request {
	r := &hub.Request{
		ID: id("req_"), CustomerID: c.ID, Plan: "basic", Features: []string{"core"}, Way: hub.Automatic, State: hub.Pending,
		BillingCycle: "monthly", EnqueuedAt: base, UpdatedAt: base,
		Customer: hub.CustomerRef{Email: c.Email, CompanyName: c.CompanyName, ContactName: c.ContactName},
	}
	for _, f := range set {
		f(r)
	}
	if r.State != hub.Pending && r.State != hub.Cancelled && r.AssignedTo == "" {
		r.AssignedTo = hub.AutoAssignee // the schema wants somebody to have it
	}
	return r
}

// insert adds a customer with a request.
func insert(ctx context.Context, tx hub.Tx, set ...func(*hub.Request)) (*hub.Request, error) {
	c := newCustomer()
	if err := tx.InsertCustomer(ctx, c); err != nil {
		return nil, err
	}
	r := newRequest(c, set...)
	return r, tx.InsertRequest(ctx, r)
}

func add(t testing.TB, s hub.Store, set ...func(*hub.Request)) (r *hub.Request) {
	t.Helper()
	write(t, s, func(ctx context.Context, tx hub.Tx) (err error) { r, err = insert(ctx, tx, set...); return err })
	return r
}

func request(t testing.TB, s hub.Store, id string) *hub.Request {
	t.Helper()
	return get(t, s, func(ctx context.Context, tx hub.Tx) (*hub.Request, error) { return tx.Request(ctx, id) })
}

// together runs n functions at once and gives their errors, in the functions' order.
func together(n int, fn func(i int) error) []error {
	errs := make([]error, n)
	start, done := make(chan struct{}), make(chan struct{})
	for i := range n {
		go func() {
			<-start
			errs[i] = fn(i)
			done <- struct{}{}
		}()
	}
	close(start)
	for range n {
		<-done
	}
	return errs
}

func allFine(t testing.TB, errs []error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
