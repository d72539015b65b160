package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

func newOperator(id, name string) *hub.Operator {
	return &hub.Operator{ID: id, Email: id + "@hub.example", Name: name, Rank: hub.Provisioner, PasswordHash: "$argon2id$x", CreatedAt: base}
}

func operatorRoundTrip(t *testing.T, s hub.Store) {
	count := func() int {
		return get(t, s, func(ctx context.Context, tx hub.Tx) (int, error) { return tx.CountOperators(ctx) })
	}
	equal(t, "operators at first", count(), 0)
	a, b := newOperator("opr_a", "Åsa O'Neil"), newOperator("opr_b", "Bob")
	b.Rank, b.DisabledAt = hub.Admin, ref(at(time.Microsecond))
	write(t, s, func(ctx context.Context, tx hub.Tx) error {
		return errors.Join(tx.InsertOperator(ctx, b), tx.InsertOperator(ctx, a))
	})
	equal(t, "operators", count(), 2)
	for _, o := range []*hub.Operator{a, b} {
		equal(t, "by id", get(t, s, func(ctx context.Context, tx hub.Tx) (*hub.Operator, error) { return tx.Operator(ctx, o.ID) }), o)
		equal(t, "by email", get(t, s, func(ctx context.Context, tx hub.Tx) (*hub.Operator, error) { return tx.OperatorByEmail(ctx, o.Email) }), o)
	}
	list := get(t, s, func(ctx context.Context, tx hub.Tx) ([]*hub.Operator, error) { return tx.ListOperators(ctx) })
	equal(t, "list", list, []*hub.Operator{a, b})

	twin := newOperator("opr_c", "Twin")
	twin.Email = a.Email
	ctx := ctxOf(t)
	wantCode(t, s.Write(ctx, func(tx hub.Tx) error { return tx.InsertOperator(ctx, twin) }), hub.CodeOperatorExists)

	write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.SetPasswordHash(ctx, a.ID, "$argon2id$y") })
	equal(t, "new hash", get(t, s, func(ctx context.Context, tx hub.Tx) (*hub.Operator, error) { return tx.Operator(ctx, a.ID) }).PasswordHash, "$argon2id$y")
	if err := s.Write(ctx, func(tx hub.Tx) error { return tx.SetPasswordHash(ctx, "opr_none", "x") }); err == nil {
		t.Error("nobody's password was set")
	}
}

func operatorsWorking(t *testing.T, s hub.Store) {
	working := func() int {
		return get(t, s, func(ctx context.Context, tx hub.Tx) (int, error) { return tx.OperatorsWorking(ctx, base) })
	}
	make := func(id string, change func(*hub.Operator), seen *time.Time) {
		o := newOperator(id, id)
		if change != nil {
			change(o)
		}
		write(t, s, func(ctx context.Context, tx hub.Tx) error {
			if err := tx.InsertOperator(ctx, o); err != nil || seen == nil {
				return err
			}
			return tx.InsertSession(ctx, &hub.Session{TokenHash: []byte(id), OperatorID: id, CreatedAt: base, SeenAt: *seen})
		})
	}
	equal(t, "nobody", working(), 0)
	make("opr_seen", nil, ref(base)) // since includes its own instant
	equal(t, "one seen", working(), 1)
	make("opr_idle", nil, ref(at(-time.Microsecond)))
	make("opr_never", nil, nil)
	make("opr_support", func(o *hub.Operator) { o.Rank = hub.Support }, ref(base))
	make("opr_disabled", func(o *hub.Operator) { o.DisabledAt = ref(base) }, ref(base))
	equal(t, "those who are away, only look or are disabled do not count", working(), 1)
	add(t, s, func(r *hub.Request) { r.State, r.AssignedTo = hub.Completed, "opr_never" })
	equal(t, "finished work does not count", working(), 1)
	add(t, s, func(r *hub.Request) { r.State, r.AssignedTo = hub.InProgress, "opr_never" })
	equal(t, "work in hand counts", working(), 2)
	add(t, s, func(r *hub.Request) { r.State, r.AssignedTo = hub.InProgress, "opr_seen" })
	equal(t, "nobody counts twice", working(), 2)
}

func sessions(t *testing.T, s hub.Store) {
	write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.InsertOperator(ctx, newOperator("opr_a", "A")) })
	session := func(hash string, created, seen time.Time) *hub.Session {
		x := &hub.Session{TokenHash: []byte(hash), OperatorID: "opr_a", CreatedAt: created, SeenAt: seen}
		write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.InsertSession(ctx, x) })
		return x
	}
	find := func(hash string) (x *hub.Session, err error) {
		ctx := ctxOf(t)
		err = s.Read(ctx, func(tx hub.Tx) (err error) { x, err = tx.Session(ctx, []byte(hash)); return err })
		return x, err
	}
	a := session("\x00a\xff", base, at(time.Microsecond))
	got, err := find("\x00a\xff")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "session", got, a)

	write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.TouchSession(ctx, a.TokenHash, at(time.Minute)) })
	got, _ = find("\x00a\xff")
	equal(t, "touched", got.SeenAt, at(time.Minute))
	equal(t, "created stays", got.CreatedAt, base)

	session("idle", at(time.Hour), at(time.Hour-time.Microsecond))
	session("old", at(-time.Microsecond), at(3*time.Hour))
	session("good", base, at(time.Hour))
	write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.DeleteSessionsBefore(ctx, at(time.Hour), base) })
	for hash, there := range map[string]bool{"\x00a\xff": false, "idle": false, "old": false, "good": true} {
		_, err := find(hash)
		equal(t, hash+" is there", err == nil, there)
	}
	for range 2 { // the second time is no error
		write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.DeleteSession(ctx, []byte("good")) })
	}
	_, err = find("good")
	wantCode(t, err, hub.CodeNotFound)
	write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.TouchSession(ctx, []byte("good"), base) }) // gone meanwhile: no error
	ctx := ctxOf(t)
	if err := s.Write(ctx, func(tx hub.Tx) error {
		return tx.InsertSession(ctx, &hub.Session{TokenHash: []byte("n"), OperatorID: "opr_none", CreatedAt: base, SeenAt: base})
	}); err == nil {
		t.Error("nobody's session was kept")
	}
}

func apiTokens(t *testing.T, s hub.Store) {
	for _, want := range []*hub.APIToken{
		{ID: "tok_a", Name: "CI »bot«", Rank: hub.Support, Scopes: []string{"requests:read", "x"}, Hash: []byte{0, 0xff}, CreatedAt: base, CreatedBy: "opr_a", RevokedAt: ref(at(time.Second))},
		{ID: "tok_b", Name: "b", Rank: hub.Admin, Scopes: []string{}, Hash: []byte("b"), CreatedAt: base, CreatedBy: "cli"},
	} {
		write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.InsertAPIToken(ctx, want) })
		got := get(t, s, func(ctx context.Context, tx hub.Tx) (*hub.APIToken, error) { return tx.APITokenByHash(ctx, want.Hash) })
		equal(t, "token", got, want)
	}
	nilScopes := &hub.APIToken{ID: "tok_c", Name: "c", Rank: hub.Admin, Hash: []byte("c"), CreatedAt: base, CreatedBy: "cli"}
	write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.InsertAPIToken(ctx, nilScopes) })
	got := get(t, s, func(ctx context.Context, tx hub.Tx) (*hub.APIToken, error) {
		return tx.APITokenByHash(ctx, []byte("c"))
	})
	equal(t, "no scopes", len(got.Scopes), 0)
	held := add(t, s, func(r *hub.Request) { r.State, r.AssignedTo = hub.InProgress, "tok_b" })
	equal(t, "name of who holds a request", request(t, s, held.ID).AssigneeName, "b")
	again := *nilScopes
	again.ID = "tok_d"
	ctx := ctxOf(t)
	if err := s.Write(ctx, func(tx hub.Tx) error { return tx.InsertAPIToken(ctx, &again) }); err == nil {
		t.Error("one hash was kept for two tokens")
	}
}

func setupTokens(t *testing.T, s hub.Store) {
	write(t, s, func(ctx context.Context, tx hub.Tx) error {
		return errors.Join(tx.PutSetupToken(ctx, []byte("a"), at(time.Minute)), tx.PutSetupToken(ctx, []byte("b"), at(time.Minute)))
	})
	valid := func(hash string, now time.Time) bool {
		return get(t, s, func(ctx context.Context, tx hub.Tx) (bool, error) { return tx.SetupTokenValid(ctx, []byte(hash), now) })
	}
	take := func(hash string, now time.Time) (ok bool) {
		write(t, s, func(ctx context.Context, tx hub.Tx) (err error) {
			ok, err = tx.TakeSetupToken(ctx, []byte(hash), now)
			return err
		})
		return ok
	}
	equal(t, "valid", valid("a", at(time.Minute-time.Microsecond)), true)
	equal(t, "expired", valid("a", at(time.Minute)), false)
	equal(t, "unknown", valid("c", base), false)
	equal(t, "taking an expired one", take("a", at(time.Minute)), false)
	equal(t, "taking an unknown one", take("c", base), false)
	equal(t, "taking", take("a", base), true)
	equal(t, "taking again", take("a", base), false)
	equal(t, "valid after taking", valid("a", base), false)
	equal(t, "the other one", valid("b", base), true)
	write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.DeleteSetupTokens(ctx) })
	equal(t, "after deletion", valid("b", base), false)
}

func setupTokenContested(t *testing.T, s hub.Store) {
	write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.PutSetupToken(ctx, []byte("a"), at(time.Minute)) })
	ctx := ctxOf(t)
	won := make([]bool, 8)
	allFine(t, together(len(won), func(i int) error {
		return s.Write(ctx, func(tx hub.Tx) (err error) { won[i], err = tx.TakeSetupToken(ctx, []byte("a"), base); return err })
	}))
	n := 0
	for _, w := range won {
		if w {
			n++
		}
	}
	equal(t, "winners", n, 1)
}
