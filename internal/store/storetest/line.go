package storetest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kitshub/kitshub/internal/hub"
)

// compareLine is the order of the line, said once more and in other words than the SQL.
func compareLine(a, b *hub.Request) int {
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), a.EnqueuedAt.Compare(b.EnqueuedAt), strings.Compare(a.ID, b.ID))
}

// fewTimes collide on purpose: equal times leave the order to the id.
var fewTimes = []time.Duration{0, 0, time.Microsecond, time.Second, -time.Hour, 24 * time.Hour}

func drawRequest(rt *rapid.T) func(*hub.Request) {
	return func(r *hub.Request) {
		r.ID = "req_" + rapid.StringMatching(`[a-z0-9]{6}`).Draw(rt, "id") + id("")
		r.Priority = rapid.IntRange(0, 2).Draw(rt, "priority")
		r.EnqueuedAt = at(rapid.SampledFrom(fewTimes).Draw(rt, "enqueued"))
		r.State = rapid.SampledFrom([]hub.State{
			hub.Pending, hub.Pending, hub.Pending, hub.InProgress, hub.Migrating, hub.Completed, hub.Failed, hub.Cancelled,
		}).Draw(rt, "state")
		r.Way = rapid.SampledFrom([]hub.Way{hub.Automatic, hub.ByOperator}).Draw(rt, "way")
		r.Plan = rapid.SampledFrom([]string{"basic", "enterprise"}).Draw(rt, "plan")
		if r.State != hub.Pending && r.State != hub.Cancelled {
			r.AssignedTo = rapid.SampledFrom([]string{"auto", "opr_1"}).Draw(rt, "assigned")
		}
		if rapid.Bool().Draw(rt, "sla") {
			r.OverdueAt = ref(r.EnqueuedAt.Add(time.Hour))
		}
	}
}

// drawLine fills the line with a few requests: the trouble is in equal keys, not in many.
func drawLine(ctx context.Context, rt *rapid.T, tx hub.Tx, more ...func(*hub.Request)) []*hub.Request {
	all := make([]*hub.Request, rapid.IntRange(0, 12).Draw(rt, "n"))
	for i := range all {
		var err error
		if all[i], err = insert(ctx, tx, append([]func(*hub.Request){drawRequest(rt)}, more...)...); err != nil {
			rt.Fatal(err)
		}
	}
	return all
}

// positionsAreTheTruth: after any joining, claiming, releasing and changing of priority, each waiting request's place is the number of those
// that stand before it, and no two share one.
func positionsAreTheTruth(t *testing.T, s hub.Store) {
	rapid.Check(t, func(rt *rapid.T) {
		undone(t, s, func(ctx context.Context, tx hub.Tx) {
			all := drawLine(ctx, rt, tx)
			for range rapid.IntRange(0, 6).Draw(rt, "changes") {
				if len(all) == 0 {
					break
				}
				change(ctx, rt, tx, rapid.SampledFrom(all).Draw(rt, "who"))
			}
			line := slices.DeleteFunc(slices.Clone(all), func(r *hub.Request) bool { return r.State != hub.Pending })
			slices.SortFunc(line, compareLine)
			same := map[hub.Way]int{}
			for i, r := range line {
				a, err := tx.Ahead(ctx, r.Key(), r.Way)
				if err != nil {
					rt.Fatal(err)
				}
				higher := 0
				for _, b := range line[:i] {
					if b.Priority > r.Priority {
						higher++
					}
				}
				if want := (hub.Ahead{All: i, SameWay: same[r.Way], Higher: higher}); a != want {
					rt.Fatalf("request %d of %d (%s): ahead %+v, want %+v", i, len(line), r.ID, a, want)
				}
				same[r.Way]++
			}
			next, found, err := tx.LockNext(ctx)
			if err != nil || found != (len(line) > 0) || (found && next.ID != line[0].ID) {
				rt.Fatalf("LockNext gave %v, %v, %v; want the first of %d", next, found, err, len(line))
			}
		})
	})
}

func change(ctx context.Context, rt *rapid.T, tx hub.Tx, r *hub.Request) {
	switch rapid.SampledFrom([]string{"claim", "release", "priority"}).Draw(rt, "change") {
	case "claim":
		r.State, r.AssignedTo = hub.InProgress, "opr_1"
	case "release":
		r.State, r.AssignedTo = hub.Pending, ""
	case "priority":
		r.Priority = rapid.IntRange(0, 2).Draw(rt, "to")
	}
	if err := tx.UpdateRequest(ctx, r); err != nil {
		rt.Fatal(err)
	}
}

// listsMatchModel: every filter and every page size gives what a plain filter and sort over all rows gives, with no gap and no repeat.
func listsMatchModel(t *testing.T, s hub.Store) {
	rapid.Check(t, func(rt *rapid.T) {
		undone(t, s, func(ctx context.Context, tx hub.Tx) {
			all := drawLine(ctx, rt, tx)
			f := hub.RequestFilter{
				State:      rapid.SampledFrom([]hub.State{"", "", hub.Pending, hub.Completed, hub.Failed}).Draw(rt, "f.state"),
				Plan:       rapid.SampledFrom([]string{"", "", "basic", "unknown"}).Draw(rt, "f.plan"),
				AssignedTo: rapid.SampledFrom([]string{"", "", "auto", "opr_1"}).Draw(rt, "f.assigned"),
			}
			if rapid.Bool().Draw(rt, "f.overdue") {
				f.OverdueAt = ref(at(rapid.SampledFrom([]time.Duration{0, time.Hour, 2 * time.Hour}).Draw(rt, "f.overdueAt")))
			}
			if len(all) > 0 && rapid.IntRange(0, 3).Draw(rt, "f.query") == 0 {
				f.Query = strings.ToUpper(rapid.SampledFrom(all).Draw(rt, "f.queryOf").Customer.Email[1:8])
			}
			var want []string
			slices.SortFunc(all, compareLine)
			for _, r := range all {
				if matches(f, r) {
					want = append(want, r.ID)
				}
			}
			f.Limit = rapid.IntRange(0, 5).Draw(rt, "limit") // 0 is all at once
			equal(rt, "listed", pages(ctx, rt, tx, f), want)
		})
	})
}

func matches(f hub.RequestFilter, r *hub.Request) bool {
	search := strings.ToLower(r.Customer.Email + "\n" + r.Customer.CompanyName + "\n" + r.Customer.ContactName)
	return (f.State == "" || r.State == f.State) && (f.Plan == "" || r.Plan == f.Plan) && (f.AssignedTo == "" || r.AssignedTo == f.AssignedTo) &&
		(f.OverdueAt == nil || (r.OverdueAt != nil && r.OverdueAt.Before(*f.OverdueAt) && !r.State.Final())) &&
		strings.Contains(search, strings.ToLower(f.Query))
}

func pages(ctx context.Context, t tb, tx hub.Tx, f hub.RequestFilter) (ids []string) {
	for {
		page, err := tx.ListRequests(ctx, f)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			ids = append(ids, r.ID)
		}
		if f.Limit == 0 || len(page) < f.Limit {
			return ids
		}
		if len(page) > f.Limit {
			t.Fatalf("a page of %d has %d", f.Limit, len(page))
		}
		f.After = ref(page[len(page)-1].Key())
	}
}

// searchIsLiteral: what looks like a pattern is searched letter by letter, in any case, also beyond ASCII.
func searchIsLiteral(t *testing.T, s hub.Store) {
	names := []string{"hundred100% Sure", "hundred1000 Sure", "under_score", "underXscore", "bang!", "ÄÖÜ Straße", "back\\slash", "O'Neil", "🚀 Rocket"}
	for _, n := range names {
		write(t, s, func(ctx context.Context, tx hub.Tx) error {
			c := newCustomer()
			c.CompanyName = n
			if err := tx.InsertCustomer(ctx, c); err != nil {
				return err
			}
			return tx.InsertRequest(ctx, newRequest(c))
		})
	}
	for query, want := range map[string][]string{
		"hundred100%":              {"hundred100% Sure"},
		"hundred100":               {"hundred100% Sure", "hundred1000 Sure"},
		"SURE":                     {"hundred100% Sure", "hundred1000 Sure"},
		"r_s":                      {"under_score"},
		"%":                        {"hundred100% Sure"},
		"!":                        {"bang!"},
		"äöü STRASSE":              nil, // case folding is not spelling
		"äöü straße":               {"ÄÖÜ Straße"},
		"ÄÖÜ":                      {"ÄÖÜ Straße"},
		`k\s`:                      {`back\slash`},
		"o'neil":                   {"O'Neil"},
		"🚀":                        {"🚀 Rocket"},
		"nothing like that":        nil,
		"a\x00b":                   nil,
		"\xff":                     nil,
		strings.Repeat("x", 60000): nil, // longer than SQLite lets a pattern be
		"@example.com\ncompany":    nil,
	} {
		l := get(t, s, func(ctx context.Context, tx hub.Tx) ([]*hub.Request, error) {
			return tx.ListRequests(ctx, hub.RequestFilter{Query: query})
		})
		var got []string
		for _, r := range l {
			got = append(got, r.Customer.CompanyName)
		}
		equal(t, "found by "+query[:min(len(query), 20)], got, want)
	}
	for _, f := range []hub.RequestFilter{{Plan: "a\x00"}, {AssignedTo: "\x00"}, {State: "x\x00"}} {
		l := get(t, s, func(ctx context.Context, tx hub.Tx) ([]*hub.Request, error) { return tx.ListRequests(ctx, f) })
		equal(t, "found by a text that no row can hold", len(l), 0)
	}
}

// spans gives a request times around the transaction's own, on which the counts depend.
func spans(rt *rapid.T, now time.Time) func(*hub.Request) {
	past := func(name string) *time.Time {
		if rapid.IntRange(0, 3).Draw(rt, name+" unset") == 0 {
			return nil
		}
		return ref(now.Add(-time.Duration(rapid.IntRange(0, 30*60).Draw(rt, name)) * time.Minute))
	}
	return func(r *hub.Request) {
		r.EnqueuedAt = *cmp.Or(past("enq"), &now)
		r.ClaimedAt, r.FinishedAt, r.OverdueAt = past("claimed"), past("finished"), past("overdue")
	}
}

func countsMatchModel(t *testing.T, s hub.Store) {
	rapid.Check(t, func(rt *rapid.T) {
		undone(t, s, func(ctx context.Context, tx hub.Tx) {
			all := make([]*hub.Request, rapid.IntRange(0, 12).Draw(rt, "n"))
			for i := range all {
				var err error
				if all[i], err = insert(ctx, tx, drawRequest(rt), spans(rt, tx.Now())); err != nil {
					rt.Fatal(err)
				}
			}
			day := tx.Now().Truncate(24 * time.Hour)
			got, err := tx.Counts(ctx, day, true)
			if err != nil {
				rt.Fatal(err)
			}
			equal(rt, "counts", got, modelCounts(all, tx.Now(), day))
		})
	})
}

func modelCounts(all []*hub.Request, now, day time.Time) hub.Counts {
	c := hub.Counts{ByState: map[hub.State]int{}}
	var waits []time.Duration
	since := func(t *time.Time, from time.Time) int {
		if t != nil && !t.Before(from) {
			return 1
		}
		return 0
	}
	for _, r := range all {
		c.ByState[r.State]++
		switch r.State {
		case hub.Pending:
			c.Pending[r.Priority]++
			if c.OldestPending == nil || r.EnqueuedAt.Before(*c.OldestPending) {
				c.OldestPending = &r.EnqueuedAt
			}
		case hub.Completed:
			c.CompletedToday += since(r.FinishedAt, day)
			c.CompletedHour += since(r.FinishedAt, now.Add(-time.Hour))
		case hub.Failed:
			c.FailedToday += since(r.FinishedAt, day)
		}
		if r.OverdueAt != nil && r.OverdueAt.Before(now) && !r.State.Final() {
			c.Overdue++
		}
		if since(r.ClaimedAt, now.Add(-24*time.Hour)) == 1 {
			waits = append(waits, r.ClaimedAt.Sub(r.EnqueuedAt))
		}
	}
	var sum time.Duration
	for _, w := range waits {
		sum += w
	}
	if len(waits) > 0 {
		c.AverageWait = sum / time.Duration(len(waits))
	}
	return c
}
