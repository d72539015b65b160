package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/hub/hubtest"
)

const route = "POST /api/v1/onboarding"

// keyed does what the edge does with an Idempotency-Key: take, call, end.
func keyed(ctx context.Context, r *hubtest.Rig, key string, in hub.SignUp) (a hub.Answer, replayed bool, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return a, false, err
	}
	p, stored, err := r.TakeReceipt(ctx, "ip 192.0.2.1", route, key, body)
	if err != nil {
		return a, false, err
	}
	if stored != nil {
		return *stored, true, nil
	}
	p.Render = func(result any) (hub.Answer, error) {
		a = hub.Answer{Status: 201, ContentType: "application/json", Body: fmt.Append(nil, result.(hub.SignedUp).Request.ID)}
		return a, nil
	}
	_, err = r.SignUp(hub.WithReceipt(ctx, p), in)
	if err != nil {
		a = hub.Answer{Status: map[hub.Code]int{hub.CodeCustomerExists: 409, hub.CodeUnavailable: 503}[hub.CodeOf(err)], Body: []byte(hub.CodeOf(err))}
		if a.Status == 0 {
			a.Status = 400
		}
	}
	return a, false, errors.Join(err, r.EndReceipt(context.WithoutCancel(ctx), p, a))
}

// TestReplay: the same key and body give the first answer to the byte and no second effect; another body, caller or route is told apart.
func TestReplay(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		first, replayed, err := keyed(t.Context(), r, "k1", good())
		fine(t, err)
		equal(t, "replayed", replayed, false)
		again, replayed, err := keyed(t.Context(), r, "k1", good())
		fine(t, err)
		equal(t, "replayed", replayed, true)
		equal(t, "answer", again, first)
		equal(t, "requests", r.Meter.Counts()[0], 1)

		other := good()
		other.CompanyName = "Other"
		_, _, err = keyed(t.Context(), r, "k1", other)
		wantCode(t, err, hub.CodeIdempotencyMismatch)
		for _, place := range [][2]string{{"ip 192.0.2.2", route}, {"ip 192.0.2.1", "POST /other"}} {
			p, stored, err := r.TakeReceipt(t.Context(), place[0], place[1], "k1", []byte("{}"))
			fine(t, err)
			if p == nil || stored != nil {
				t.Errorf("%v met another caller's key", place)
			}
		}

		// 409 is kept as well, though it has no effect.
		refusal, _, err := keyed(t.Context(), r, "k2", good())
		wantCode(t, err, hub.CodeCustomerExists)
		again, replayed, err = keyed(t.Context(), r, "k2", good())
		fine(t, err)
		equal(t, "replayed refusal", []any{again, replayed}, []any{refusal, true})

		// 400 is not: the key is free for a corrected call.
		wrong := good()
		wrong.Plan = "none"
		_, _, err = keyed(t.Context(), r, "k3", wrong)
		wantCode(t, err, hub.CodeUnknownPlan)
		right := good()
		right.Email = "b@example.com"
		_, _, err = keyed(t.Context(), r, "k3", right)
		fine(t, err)
	})
}

// TestReplayContested: of copies sent at once one has the effect; the others are told to wait or get its answer.
func TestReplayContested(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		answers := make([]hub.Answer, 8)
		won := 0
		for i, err := range atOnce(len(answers), func(i int) (err error) {
			answers[i], _, err = keyed(t.Context(), r, "k", good())
			return err
		}) {
			switch {
			case err == nil:
				won++
				equal(t, "answer", string(answers[i].Body), r.Row(string(answers[i].Body)).ID)
			default:
				wantCode(t, err, hub.CodeIdempotencyInFlight)
			}
		}
		if won == 0 {
			t.Error("nobody got an answer")
		}
		equal(t, "requests", r.Meter.Counts()[0], 1)
	})
}

// TestReceiptAndEffectAreOne: wherever the process dies, a retry with the same key makes the effect exactly once and gets its answer.
func TestReceiptAndEffectAreOne(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		for _, after := range []bool{false, true} {
			for k := 1; k <= 2; k++ { // taking the key, and the effect with its answer
				name := fmt.Sprintf("%t-%d", after, k)
				in := good()
				in.Email = name + "@example.com"
				dying := r.Another("ins_"+name, "home")
				fine(t, dying.Beat(t.Context()))
				dying.Store.DieAt(k, after)
				_, _, err := keyed(t.Context(), dying, name, in)
				wantCode(t, err, hub.CodeUnavailable)

				if k == 1 && after { // the key is held by one of whom nobody knows yet that it is dead
					_, _, err = keyed(t.Context(), r, name, in)
					wantCode(t, err, hub.CodeIdempotencyInFlight)
				}
				heir := r.Another("ins_heir_"+name, "home")
				fine(t, heir.Beat(t.Context()))
				fine(t, heir.Reap(t.Context()))
				a, replayed, err := keyed(t.Context(), heir, name, in)
				fine(t, err)
				equal(t, "replayed", replayed, k == 2 && after)
				again, _, err := keyed(t.Context(), heir, name, in)
				fine(t, err)
				equal(t, "the answer, once more", again, a)
				equal(t, "whose", r.Row(string(a.Body)).Customer.Email, in.Email)
			}
		}
	})
}

// TestLostCommitKeepsItsAnswer: the effect was committed, but the hub never heard so and told the caller 503. The answer must not be freed:
// the retry gets it, and there is no second effect.
func TestLostCommitKeepsItsAnswer(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		body := []byte("{}")
		p, _, err := r.TakeReceipt(t.Context(), "ip", route, "k", body)
		fine(t, err)
		p.Render = func(any) (hub.Answer, error) { return hub.Answer{Status: 201, Body: []byte("made")}, nil }
		r.Store.DieAt(1, true)
		_, err = r.SignUp(hub.WithReceipt(t.Context(), p), good())
		wantCode(t, err, hub.CodeUnavailable)
		r.Store.Revive() // only the connection was lost
		fine(t, r.EndReceipt(t.Context(), p, hub.Answer{Status: 503}))
		_, stored, err := r.TakeReceipt(t.Context(), "ip", route, "k", body)
		fine(t, err)
		if stored == nil || string(stored.Body) != "made" {
			t.Fatalf("the retry got %+v", stored)
		}
	})
}

// TestReceiptIsSealedAndExpires: nothing of the answer stands in clear, and after 24 hours the key is free.
func TestReceiptIsSealedAndExpires(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		_, _, err := keyed(t.Context(), r, "k", good())
		fine(t, err)
		body, err := json.Marshal(good())
		fine(t, err)
		hash := r.Deps.Tokens.Hash
		row := &hub.Receipt{Principal: "ip 192.0.2.1", Route: route, KeyHash: hash("k"), BodyHash: hash(string(body)), Instance: "ins_1", CreatedAt: testNow()}
		var there *hub.Receipt
		r.Put(func(ctx context.Context, tx hub.Tx) (err error) { there, err = tx.TakeReceipt(ctx, row); return err })
		for _, clear := range []string{"req_", "201", "json"} {
			if bytesContain(there.Sealed, clear) {
				t.Errorf("%q stands in clear", clear)
			}
		}
		// The same answer a day old: written anew, since the store's clock is the database's.
		r.Put(func(ctx context.Context, tx hub.Tx) error {
			old := *there
			if err := tx.FreeReceipt(ctx, there); err != nil {
				return err
			}
			old.CreatedAt = tx.Now().Add(-hub.ReceiptLife - time.Second)
			if _, err := tx.TakeReceipt(ctx, &old); err != nil {
				return err
			}
			return tx.FinishReceipt(ctx, &old)
		})
		p, stored, err := r.TakeReceipt(t.Context(), "ip 192.0.2.1", route, "k", []byte("another body"))
		fine(t, err)
		if p == nil || stored != nil {
			t.Errorf("a day later the key gave %+v", stored)
		}
		fine(t, r.Sweep(t.Context()))
	})
}

func bytesContain(b []byte, s string) bool {
	for i := 0; i+len(s) <= len(b); i++ {
		if string(b[i:i+len(s)]) == s {
			return true
		}
	}
	return false
}
