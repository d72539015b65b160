package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// The budget holds on the server's side, whoever asks for what, and nobody waits for ever.
func TestTheBudgetHolds(t *testing.T) {
	r := newRig(t)
	const most = 4
	p := r.provider(func(c *Config) { c.MaxConns = most })
	r.create(p, "ten_first", things)
	ctx, stop := context.WithCancel(t.Context())
	watched := make(chan int)
	conn := r.connect(r.super)
	go func() {
		defer func() { _ = conn.Close(context.Background()) }()
		worst := 0
		tick := time.NewTicker(5 * time.Millisecond) // asking without a pause would leave the others no processor
		defer tick.Stop()
		for ctx.Err() == nil {
			<-tick.C
			// A process that is idle and does not wait for its client has been told to end, which takes the server some milliseconds.
			var n int
			err := conn.QueryRow(context.Background(), `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kitshub'
				AND (usename = $1 OR starts_with(usename, $2)) AND NOT (state = 'idle' AND wait_event IS NULL)`, r.role, p.names.prefix).Scan(&n)
			if err != nil {
				t.Error(err)
				break
			}
			worst = max(worst, n)
		}
		watched <- worst
	}()
	var wg sync.WaitGroup
	for i := range 8 {
		x := r.plan(p, fmt.Sprintf("ten_%d", i))
		wg.Go(func() {
			err := p.Create(t.Context(), x.Backend, x.Credentials, hub.Template{Key: fmt.Sprintf("k%d", i%3), Build: things.Build})
			if err != nil {
				t.Errorf("creating: %v", err)
				return
			}
			owner, err := p.Open(t.Context(), x.Backend, x.Credentials, hub.RoleOwner) // stays open, idle, as the pipeline's does
			if err != nil {
				t.Errorf("opening: %v", err)
				return
			}
			defer func() { _ = owner.Close() }()
			for range 3 {
				db, err := p.Open(t.Context(), x.Backend, x.Credentials, hub.RoleTenant)
				if err == nil {
					_, err = db.ExecContext(t.Context(), `SELECT count(*) FROM things`)
					err = errors.Join(err, db.Close())
				}
				if _, lookErr := p.List(t.Context()); lookErr != nil || err != nil {
					t.Errorf("working: %v, %v", err, lookErr)
				}
			}
		})
	}
	wg.Wait()
	stop()
	if worst := <-watched; worst > most || worst < 2 {
		t.Errorf("%d connections at the worst, want at most %d", worst, most)
	}
}

// A place in the budget is free when the server's process has ended, which takes it a while after the farewell.
func TestAPlaceIsFreeWhenTheServerSaysSo(t *testing.T) {
	r := newRig(t)
	p := r.provider()
	watcher := r.connect(r.super)
	defer func() { _ = watcher.Close(context.Background()) }()
	for range 10 {
		conn, err := p.dial(t.Context(), p.adminConfig.Database)
		if err != nil {
			t.Fatal(err)
		}
		gone := make(chan struct{})
		p.farewell(t.Context(), conn, func() { close(gone) })
		<-gone
		var there bool
		err = watcher.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)`, conn.PgConn().PID()).Scan(&there)
		if err != nil || there {
			t.Fatalf("the server still has it: %t, %v", there, err)
		}
	}
}

// A connection that becomes idle just after a waiter has asked for such is asked for again: else both would wait, for each other.
func TestBudgetAsksAgain(t *testing.T) {
	b := newBudget(minBudget)
	for range minBudget {
		if err := b.take(t.Context(), Provision); err != nil {
			t.Fatal(err)
		}
	}
	asked := 0
	b.shed = func(bool, Purpose) {
		if asked++; asked == 2 {
			b.give(Provision)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := b.take(ctx, Provision); err != nil {
		t.Errorf("asked %d times: %v", asked, err)
	}
}

func TestBudgetIsFair(t *testing.T) {
	b := newBudget(4)
	take := func(p Purpose) { // waits in line; the order of coming is seen by the length of the line
		t.Helper()
		if err := b.take(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	take(Refill)
	take(Refill)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.take(ctx, Refill); !errors.Is(err, context.Canceled) {
		t.Errorf("a third of the pool's got %v", err)
	}
	take(Provision)
	take(Look)
	got := make(chan Purpose)
	for i, p := range []Purpose{Provision, Provision, Look, Refill} {
		go func() {
			if err := b.take(context.Background(), p); err != nil {
				t.Error(err)
			}
			got <- p
		}()
		for n := 0; n <= i; { // until it stands in line
			b.mu.Lock()
			n = len(b.waiting[Provision]) + len(b.waiting[Look]) + len(b.waiting[Refill])
			b.mu.Unlock()
			if n == i+1 {
				break
			}
		}
	}
	var order []Purpose
	for _, back := range []Purpose{Look, Provision, Refill, Look} {
		b.give(back)
		order = append(order, <-got)
	}
	if n := slices.Index(order, Provision); n > 1 || slices.Index(order, Look) > 2 || len(order) != 4 {
		t.Errorf("served in the order %v", order)
	}
}

// TestRoomOnItsWayIsNotAskedForAgain: connections that were told farewell make room in a moment, so nobody closes another one for the same waiter.
func TestRoomOnItsWayIsNotAskedForAgain(t *testing.T) {
	b := newBudget(4)
	shed := make(chan bool, 1)
	b.shed = func(bool, Purpose) {
		select {
		case shed <- true:
		default:
		}
	}
	for range 4 {
		if err := b.take(t.Context(), Provision); err != nil {
			t.Fatal(err)
		}
	}
	if !b.park(Provision) {
		t.Fatal("nobody waits")
	}
	b.leave(Provision) // two are in use, one is idle, one is on its way out
	taken := make(chan error, 2)
	wait := func(n int) { // until that many wait
		go func() { taken <- b.take(t.Context(), Provision) }()
		for over := time.Now().Add(time.Minute); ; runtime.Gosched() {
			b.mu.Lock()
			waiting := len(b.waiting[Provision])
			b.mu.Unlock()
			if waiting == n {
				return
			}
			if time.Now().After(over) {
				t.Fatalf("%d wait, not %d", waiting, n)
			}
		}
	}
	wait(1)
	if b.crowded() {
		t.Error("one is asked to go for a waiter whose room is on its way")
	}
	wait(2)
	if !b.crowded() || b.park(Provision) {
		t.Error("nothing is given up for the second, for whom there is no room")
	}
	<-shed
	b.leaveIdle()
	b.gone()
	b.gone()
	for range 2 {
		if err := <-taken; err != nil {
			t.Error(err)
		}
	}
	if b.open != 4 || b.leaving != 0 || b.used[Provision] != 4 {
		t.Errorf("%d open, %d leaving, %d in use", b.open, b.leaving, b.used[Provision])
	}
}
