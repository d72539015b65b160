package hub_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/forecast"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/hub/hubtest"
	"github.com/kitshub/kitshub/internal/queue"
)

// inOrder gives the pending requests as the database orders them.
func inOrder(r *hubtest.Rig) []*hub.Request {
	return hubtest.Get(r, func(ctx context.Context, tx hub.Tx) ([]*hub.Request, error) {
		return tx.ListRequests(ctx, hub.RequestFilter{State: hub.Pending, Limit: 1000})
	})
}

// wantPlaces holds every pending request's status against the database's order.
func wantPlaces(t *testing.T, r *hubtest.Rig, s *hub.Service, when string) {
	t.Helper()
	for i, q := range inOrder(r) {
		st, err := s.StatusByID(t.Context(), q.ID)
		fine(t, err)
		if st.Position != i+1 || st.Ahead != i {
			t.Fatalf("%s: %s stands at %d with %d ahead, want %d", when, q.ID, st.Position, st.Ahead, i+1)
		}
	}
}

// TestPlacesFollowEveryChange: after each of many moves the hub that made it answers with the place the database orders.
func TestPlacesFollowEveryChange(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		fine(t, r.Service.ReadLine(t.Context()))
		admin := r.Operator("ada", hub.Admin)
		rng := rand.New(rand.NewPCG(1, 2))
		tokens := map[string]string{}
		for i := range 40 {
			up := r.Join(fmt.Sprintf("c%d@example.com", i), []string{"starter", "pro", "enterprise"}[rng.IntN(3)])
			equal(t, "position told on sign-up", up.Ahead, func() int {
				for i, q := range inOrder(r) {
					if q.ID == up.Request.ID {
						return i
					}
				}
				return -1
			}())
			tokens[up.Request.ID] = up.StatusToken
			line := inOrder(r)
			q := line[rng.IntN(len(line))]
			switch rng.IntN(5) {
			case 0:
				_, err := r.ClaimNext(t.Context(), admin)
				fine(t, err)
			case 1:
				_, err := r.Claim(t.Context(), admin, q.ID)
				fine(t, err)
				_, err = r.Release(t.Context(), admin, q.ID)
				fine(t, err)
			case 2:
				_, err := r.SetPriority(t.Context(), admin, q.ID, rng.IntN(3))
				fine(t, err)
			case 3:
				_, err := r.Cancel(t.Context(), admin, q.ID)
				fine(t, err)
			}
			wantPlaces(t, r, r.Service, fmt.Sprint("after change ", i))
		}
		for i, q := range inOrder(r) { // twice: the second time from memory
			for range 2 {
				st, err := r.StatusOf(t.Context(), tokens[q.ID])
				fine(t, err)
				equal(t, "position by token", st.Position, i+1)
				equal(t, "whose status", st.Request.Customer.Email, q.Customer.Email)
			}
		}
	})
}

// TestChangesOfAnotherHubInAnyOrder: what another hub committed may arrive late, doubled and in any order; the greatest version counts.
func TestChangesOfAnotherHubInAnyOrder(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		admin := r.Operator("ada", hub.Admin)
		fine(t, r.Service.ReadLine(t.Context()))
		other := r.Another("ins_other", "home_other")
		var heard []queue.Change
		note := func(q *hub.Request) {
			c := queue.Change{ID: q.ID, Version: q.Version, Pending: q.State == hub.Pending, Key: queue.Key{Priority: q.Priority, EnqueuedAt: q.EnqueuedAt.UnixMicro()}, Way: queue.Operator}
			if q.Way == hub.Automatic {
				c.Way = queue.Automatic
			}
			heard = append(heard, c)
		}
		for i := range 12 {
			up := other.Join(fmt.Sprintf("o%d@example.com", i), "enterprise")
			note(r.Row(up.Request.ID))
			if i%2 == 0 {
				q, err := other.Claim(t.Context(), admin, up.Request.ID)
				fine(t, err)
				note(r.Row(q.ID))
			}
			if i%4 == 0 {
				q, err := other.Release(t.Context(), admin, up.Request.ID)
				fine(t, err)
				note(r.Row(q.ID))
			}
		}
		rng := rand.New(rand.NewPCG(3, 4))
		heard = append(heard, heard...)
		rng.Shuffle(len(heard), func(i, j int) { heard[i], heard[j] = heard[j], heard[i] })
		for _, c := range heard {
			r.Service.LineChanges([]queue.Change{c})
		}
		wantPlaces(t, r, r.Service, "after all were heard")
	})
}

// TestALineThatMissedAChangeNotices: the audit finds it and the line is not used until it was read anew.
func TestALineThatMissedAChangeNotices(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		fine(t, r.Service.ReadLine(t.Context()))
		first := r.Join("first@example.com", "starter")
		other := r.Another("ins_other", "home_other")
		other.Join("big@example.com", "enterprise") // never told
		st, err := r.StatusOf(t.Context(), first.StatusToken)
		fine(t, err)
		equal(t, "place while it does not know", st.Position, 1)
		fine(t, r.Service.AuditLine(t.Context()))
		st, err = r.StatusOf(t.Context(), first.StatusToken)
		fine(t, err)
		equal(t, "place from the database, since the line is in doubt", st.Position, 2)
		fine(t, r.Service.ReadLine(t.Context()))
		wantPlaces(t, r, r.Service, "after it was read anew")
	})
}

// TestALineOfARestoredDatabaseNotices: the database goes back to an older state under a running hub. The audit finds it, and once the line was
// read anew nothing is left of what came after that state: who was claimed waits again, versions that were used once are used again, and who
// joined since is gone.
func TestALineOfARestoredDatabaseNotices(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		admin := r.Operator("ada", hub.Admin)
		fine(t, r.Service.ReadLine(t.Context()))
		first, second := r.Join("first@example.com", "enterprise"), r.Join("second@example.com", "enterprise")
		then := r.Row(first.Request.ID).Version
		for range 3 {
			_, err := r.Claim(t.Context(), admin, first.Request.ID)
			fine(t, err)
			_, err = r.Release(t.Context(), admin, first.Request.ID)
			fine(t, err)
		}
		_, err := r.Claim(t.Context(), admin, first.Request.ID)
		fine(t, err)
		since := r.Join("since@example.com", "enterprise")
		_, err = r.SetPriority(t.Context(), admin, since.Request.ID, 2)
		fine(t, err)
		_, err = r.StatusOf(t.Context(), since.StatusToken) // from now on who waits is remembered
		fine(t, err)

		hubtest.Exec(r, `UPDATE requests SET state = 'pending', assigned_to = '', claimed_at = NULL, version = $1 WHERE id = $2`, then, first.Request.ID)
		hubtest.Exec(r, `DELETE FROM status_tokens WHERE request_id = $1`, since.Request.ID)
		hubtest.Exec(r, `DELETE FROM requests WHERE id = $1`, since.Request.ID)
		fine(t, r.Service.AuditLine(t.Context()))
		wantPlaces(t, r, r.Service, "from the database, since the line is in doubt")
		fine(t, r.Service.ReadLine(t.Context()))
		wantPlaces(t, r, r.Service, "after it was read anew")
		_, err = r.StatusOf(t.Context(), since.StatusToken)
		wantCode(t, err, hub.CodeUnauthenticated)
		for range 2 { // with the versions that the index has heard of before
			_, err = r.Claim(t.Context(), admin, first.Request.ID)
			fine(t, err)
			st, err := r.StatusOf(t.Context(), second.StatusToken)
			fine(t, err)
			equal(t, "place when the first is claimed", st.Position, 1)
			_, err = r.Release(t.Context(), admin, first.Request.ID)
			fine(t, err)
			wantPlaces(t, r, r.Service, "after a release")
		}
		fine(t, r.Service.AuditLine(t.Context()))
		st, err := r.StatusOf(t.Context(), second.StatusToken)
		fine(t, err)
		equal(t, "place", st.Position, 2)
	})
}

// TestAClockThatJumps: who joins while the database's clock is wrong stands where his time puts him, before or behind the others, and every
// place is still the database's; a feed whose echo tells an odd time is trusted by when it was heard and not by what it says.
func TestAClockThatJumps(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		admin := r.Operator("ada", hub.Admin)
		fine(t, r.Service.ReadLine(t.Context()))
		tokens := map[string]string{}
		for i, off := range []time.Duration{0, -48 * time.Hour, 48 * time.Hour, -time.Microsecond, 0} {
			up := r.Join(fmt.Sprintf("c%d@example.com", i), "enterprise")
			q := r.Row(up.Request.ID)
			tokens[q.ID] = up.StatusToken
			q.EnqueuedAt = q.EnqueuedAt.Add(off)
			hubtest.Exec(r, `UPDATE requests SET enqueued_at = $1, version = version + 1 WHERE id = $2`, q.EnqueuedAt.UTC().Format("2006-01-02T15:04:05.000000Z"), q.ID)
			r.Service.LineChanges([]queue.Change{{
				ID: q.ID, Version: q.Version + 1, Pending: true, Way: queue.Operator, Key: queue.Key{Priority: q.Priority, EnqueuedAt: q.EnqueuedAt.UnixMicro()},
			}})
			wantPlaces(t, r, r.Service, fmt.Sprint("after a jump of ", off))
		}
		fine(t, r.Service.AuditLine(t.Context()))
		for range 2 {
			head := inOrder(r)[0]
			got, err := r.ClaimNext(t.Context(), admin)
			fine(t, err)
			equal(t, "who is next", got.ID, head.ID)
			wantPlaces(t, r, r.Service, "after a claim")
		}
		fed := r.Another("ins_fed", "home_fed")
		ctx, end := context.WithCancel(t.Context())
		var keeping sync.WaitGroup
		r.Events.Take()
		keeping.Go(func() { fed.KeepLine(ctx, true) })
		defer keeping.Wait()
		defer end()
		someone := inOrder(r)[0].ID
		for !slices.Contains(r.Events.Take(), hub.TopicLine) && t.Context().Err() == nil { // until it has read the line
			_, err := fed.StatusOf(t.Context(), tokens[someone])
			fine(t, err)
		}
		for _, off := range []time.Duration{-48 * time.Hour, 48 * time.Hour} {
			said := time.Now().Add(off).UTC().Truncate(time.Microsecond)
			fed.LineHeard(said)
			wantPlaces(t, r, fed.Service, fmt.Sprint("when the feed's clock is off by ", off))
			st, err := fed.StatusOf(t.Context(), tokens[someone])
			fine(t, err)
			equal(t, "as of", st.AsOf, said)
		}
	})
}

// TestASilentFeedIsNotTrusted: with other hubs about and nothing heard of them, places come from the database.
func TestASilentFeedIsNotTrusted(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		first := r.Join("first@example.com", "starter")
		fine(t, r.Service.ReadLine(t.Context()))
		ended, end := context.WithCancel(t.Context())
		end()
		r.Service.KeepLine(ended, true) // says that there is a feed, and puts the line in doubt
		other := r.Another("ins_other", "home_other")
		other.Join("big@example.com", "enterprise")
		st, err := r.StatusOf(t.Context(), first.StatusToken)
		fine(t, err)
		equal(t, "place", st.Position, 2)
	})
}

// TestWhoWaitsLongRises: one class each time, with an entry and, where the hub is the server, a job at the new place.
func TestWhoWaitsLongRises(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		r = r.With(func(d *hub.Deps) { d.Aging = time.Nanosecond })
		fine(t, r.Service.ReadLine(t.Context()))
		up := r.Join("patient@example.com", "starter")
		for want := 1; want <= 3; want++ {
			fine(t, r.Service.RaiseAged(t.Context()))
			equal(t, "priority", r.Row(up.Request.ID).Priority, min(want, 2))
		}
		n := 0
		for _, a := range r.Log(up.Request.ID) {
			if a == "request.raise" {
				n++
			}
		}
		equal(t, "entries", n, 2)
		equal(t, "enqueue time", r.Row(up.Request.ID).EnqueuedAt, up.Request.EnqueuedAt)
		wantPlaces(t, r, r.Service, "after rising")
	})
}

// TestTheFirstForecastIsKept: with the request, and held against what came.
func TestTheFirstForecastIsKept(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		ada := r.Operator("ada", hub.Admin)
		quiet := r.Join("quiet@example.com", "enterprise")
		row := r.Row(quiet.Request.ID)
		if row.First == nil || row.First.Basis != forecast.Unknown {
			t.Fatalf("with nobody working the first forecast is %+v, want unknown", row.First)
		}
		_, err := r.Claim(t.Context(), ada, quiet.Request.ID) // from now on one operator works, and is busy
		fine(t, err)
		r = r.Another("ins_fresh", "home_fresh") // a hub without a forecast in hand
		up := r.Join("next@example.com", "enterprise")
		first := r.Row(up.Request.ID).First
		if first == nil || first.Basis != forecast.Prior || !first.Busy || first.Start.P50 <= 0 || first.Start.P90 < first.Start.P50 {
			t.Fatalf("with one busy operator the first forecast is %+v", first)
		}
		_, err = r.Claim(t.Context(), ada, up.Request.ID)
		fine(t, err)
		records, err := r.ForecastRecords(t.Context())
		fine(t, err)
		for _, rec := range records {
			equal(t, "plans with a record", len(rec.Plans), 1)
			k := rec.Plans[0]
			equal(t, "started", k.Started, 2)
			equal(t, "of them within what was said", []int{k.Waited, k.WaitedP50, k.WaitedP90}, []int{2, 1, 1}) // unknown is a miss
		}
		answers, err := r.WhatIf(t.Context(), hub.Staffing{Operators: 3, Pool: -1})
		fine(t, err)
		for _, a := range answers {
			if a.Way == hub.ByOperator && (a.Servers != 3 || a.Now != 1) {
				t.Errorf("asked for 3 operators with 1 working: %+v", a)
			}
		}
		_, err = r.WhatIf(t.Context(), hub.Staffing{Operators: 1 << 20})
		wantCode(t, err, hub.CodeInvalidField)
	})
}

// TestWhyAPlaceWentBack says it in a word.
func TestWhyAPlaceWentBack(t *testing.T) {
	at := func(position, higher, priority int) hub.Status {
		return hub.Status{Request: hub.Request{State: hub.Pending, Priority: priority}, Position: position, Higher: higher}
	}
	for _, c := range []struct {
		name    string
		was, is hub.Status
		want    string
	}{
		{"forward", at(3, 1, 0), at(2, 1, 0), ""},
		{"same", at(3, 1, 0), at(3, 2, 0), ""},
		{"overtaken", at(3, 1, 0), at(4, 2, 0), hub.HigherPriorityJoined},
		{"returned", at(3, 1, 0), at(4, 1, 0), hub.EarlierReturned},
		{"lowered", at(3, 1, 1), at(9, 8, 0), hub.PriorityChanged},
		{"left", at(3, 1, 0), hub.Status{Request: hub.Request{State: hub.InProgress}}, ""},
	} {
		if got := hub.WentBack(c.was, c.is); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestHours(t *testing.T) {
	h, err := hub.ParseHours("Mon-Fri 09:00-17:00, Sat 10:00-14:00; Europe/Berlin")
	fine(t, err)
	berlin, err := time.LoadLocation("Europe/Berlin")
	fine(t, err)
	friday := time.Date(2026, 3, 27, 16, 0, 0, 0, berlin) // summer time begins on Sunday
	open, changes := h.Changes(friday, 4)
	if !open {
		t.Error("closed on Friday at 16:00")
	}
	want := []forecast.Change{
		{At: time.Date(2026, 3, 27, 17, 0, 0, 0, berlin)},
		{At: time.Date(2026, 3, 28, 10, 0, 0, 0, berlin), Servers: 4},
		{At: time.Date(2026, 3, 28, 14, 0, 0, 0, berlin)},
		{At: time.Date(2026, 3, 30, 9, 0, 0, 0, berlin), Servers: 4},
		{At: time.Date(2026, 3, 30, 17, 0, 0, 0, berlin)},
	}
	for i, w := range want {
		if !changes[i].At.Equal(w.At) || changes[i].Servers != w.Servers {
			t.Errorf("change %d is %v, want %v", i, changes[i], w)
		}
	}
	if open, _ := h.Changes(friday.Add(2*time.Hour), 4); open {
		t.Error("open on Friday at 18:00")
	}
	for _, bad := range []string{"Mon", "Mon-Foo 09:00-17:00", "Mon 17:00-09:00", "Mon 9-17", "Mon-Fri 09:00-17:00; Nowhere/Land", ";", "Mon 09:00-17:00 18:00"} {
		if _, err := hub.ParseHours(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if h, err := hub.ParseHours("  "); h != nil || err != nil {
		t.Errorf("no text gives %v, %v", h, err)
	}
}

// TestOperatorsSeeAllOfAWaitingRequest: what is remembered for the customer's looks is less than what an operator sees.
func TestOperatorsSeeAllOfAWaitingRequest(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		fine(t, r.Service.ReadLine(t.Context()))
		ada := r.Operator("ada", hub.Admin)
		up := r.Join("notes@example.com", "enterprise")
		_, err := r.SetNotes(t.Context(), ada, up.Request.ID, "call them")
		fine(t, err)
		for range 2 {
			_, err = r.StatusOf(t.Context(), up.StatusToken)
			fine(t, err)
			st, err := r.StatusByID(t.Context(), up.Request.ID)
			fine(t, err)
			equal(t, "request", &st.Request, r.Row(up.Request.ID))
		}
	})
}

// TestALookWaitsForTheFirstBuilding: after a start a look waits until the line was read, and then stands where the database has it.
func TestALookWaitsForTheFirstBuilding(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		up := r.Join("early@example.com", "starter")
		fresh := r.Another("ins_fresh", "home_fresh")
		ended, end := context.WithCancel(t.Context())
		end()
		fresh.KeepLine(ended, false) // begins to keep it, and ends before it has built
		looked := make(chan hub.Status)
		go func() {
			st, err := fresh.StatusOf(t.Context(), up.StatusToken)
			if err != nil {
				t.Error(err)
			}
			looked <- st
		}()
		fine(t, fresh.ReadLine(t.Context()))
		equal(t, "position", (<-looked).Position, 1)
	})
}
