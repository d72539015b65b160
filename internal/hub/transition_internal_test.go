package hub

import (
	"testing"
	"time"
)

// TestTransitionTable holds the domain's table against the contract's picture, the hub's own moves included.
func TestTransitionTable(t *testing.T) {
	allowed := map[Move]map[State]State{
		MoveClaim:       {Pending: InProgress, Failed: InProgress},
		MoveRelease:     {InProgress: Pending},
		MoveCredentials: {InProgress: CredentialsReceived},
		MoveStart:       {CredentialsReceived: Migrating},
		MoveComplete:    {Migrating: Completed},
		MoveFail:        {InProgress: Failed, CredentialsReceived: Failed, Migrating: Failed},
		MoveRetry:       {Failed: CredentialsReceived},
		MoveCancel:      {Pending: Cancelled, InProgress: Cancelled, CredentialsReceived: Cancelled, Failed: Cancelled},
	}
	now := time.Now()
	for m := range transitions {
		if allowed[m] == nil {
			t.Errorf("the move %s is not in the contract", m)
		}
	}
	for m, from := range allowed {
		for _, s := range States {
			r := &Request{ID: "req_1", State: s, TenantID: "ten_1"}
			before := *r
			err := r.move(m, now)
			want, ok := from[s]
			switch {
			case ok && (err != nil || r.State != want || !r.UpdatedAt.Equal(now)):
				t.Errorf("%s of %s: %v, %+v", m, s, err, r)
			case !ok && (!IsCode(err, CodeInvalidTransition) || r.State != before.State || !r.UpdatedAt.IsZero()):
				t.Errorf("%s of %s should be refused: %v, %+v", m, s, err, r)
			}
			if s.Final() && ok {
				t.Errorf("%s leads out of %s, which is final", m, s)
			}
		}
	}
	r := &Request{State: Failed}
	if err := r.move(MoveRetry, now); err != nil || r.State != Pending {
		t.Errorf("retry of a failure without credentials: %v, %s", err, r.State)
	}
}

func TestIDsOfOneMillisecondAscend(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	last := ""
	for i := range 1000 {
		id := NewID("req_", now)
		if len(id) != 30 || id <= last {
			t.Fatalf("id %d is %q after %q", i, id, last)
		}
		last = id
	}
	if next := NewID("req_", now.Add(time.Millisecond)); next <= last {
		t.Errorf("a millisecond later: %q after %q", next, last)
	}
	// Transactions that run side by side: the other's time comes between two of this one's.
	a1 := NewID("aud_", now)
	b := NewID("aud_", now.Add(3*time.Millisecond))
	if a2 := NewID("aud_", now); a1 >= b || b >= a2 {
		t.Errorf("%s, %s, %s do not ascend", a1, b, a2)
	}
	if before := NewID("req_", now.Add(-time.Hour)); before >= last {
		t.Errorf("an hour before: %q, not before %q", before, last)
	}
	tail := [10]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	if step(&tail) {
		t.Error("no room was left, but a step was made")
	}
}
