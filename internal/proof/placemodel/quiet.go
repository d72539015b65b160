//go:build unix

package placemodel

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kitshub/kitshub/internal/proof/placekit"
)

const (
	asked        = 40 // places at each hub at a quiet point
	askedAfter   = 6  // right after a move
	catchUp      = time.Minute
	askTick      = 5 * time.Millisecond
	settleWithin = time.Minute
)

// quiet compares everything with everything while nobody calls.
func (r *run) quiet(ctx context.Context, phase int) error {
	if err := r.settled(ctx); err != nil {
		return err
	}
	if err := r.compareDatabase(ctx); err != nil {
		return err
	}
	g := rand.New(rand.NewPCG(uint64(r.o.Seed)+1, uint64(phase))) //nolint:gosec // the same seed shall ask the same
	line := r.model.line()
	if len(line) == 0 {
		return nil
	}
	if err := r.world.DB.QueryRowContext(ctx, `SELECT clock_timestamp()`).Scan(&r.since); err != nil {
		return err
	}
	for _, t := range r.hubs {
		for range asked {
			if err := r.compare(ctx, t, line, g.IntN(len(line))); err != nil {
				return err
			}
		}
	}
	r.res.Quiet++
	if r.res.Wrong > 0 { // what is wrong anyway need not be waited for
		return nil
	}
	return r.solo(ctx, r.hubs[phase%hubs], g)
}

// settled waits until every transaction that a dead hub may have left behind is over.
func (r *run) settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	var since time.Time
	if err := r.world.DB.QueryRowContext(ctx, `SELECT clock_timestamp()`).Scan(&since); err != nil {
		return err
	}
	tick := time.NewTicker(askTick)
	defer tick.Stop()
	for {
		var n int
		err := r.world.DB.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity
			WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND xact_start < $1`, since).Scan(&n)
		if err != nil || n == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d transactions do not end: %w", n, ctx.Err())
		case <-tick.C:
		}
	}
}

// compareDatabase holds the model against what was committed, and lets the database decide what is doubtful.
func (r *run) compareDatabase(ctx context.Context) error {
	rows, err := r.world.DB.QueryContext(ctx, `SELECT r.id, c.email, r.state, r.priority, r.enqueued_at FROM requests r JOIN customers c ON c.id = r.customer_id`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	seen := 0
	for rows.Next() {
		var id, email, state, at string
		var priority int
		if err := rows.Scan(&id, &email, &state, &priority, &at); err != nil {
			return err
		}
		enqueued, err := time.Parse(time.RFC3339Nano, at)
		if err != nil {
			return err
		}
		seen++
		w := placekit.Waiting{ID: id, Priority: priority, At: enqueued.UnixMicro()}
		c := r.model.byID[id]
		switch {
		case c == nil && r.model.lost[email]: // its sign-up had its effect without an answer
			delete(r.model.lost, email)
			r.model.add(&customer{Waiting: w, email: email, state: state})
		case c == nil:
			r.res.Violate("%s is in the database and nobody was told of it", id)
		case c.doubtful:
			c.doubtful, c.Waiting = false, w
			r.model.put(c, state)
		case c.Waiting != w || c.state != state:
			r.res.Violate("acknowledged was %+v %s, committed is %+v %s", c.Waiting, c.state, w, state)
			c.Waiting = w
			r.model.put(c, state)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	clear(r.model.lost) // those had no effect
	if seen != len(r.model.byID) {
		r.res.Violate("%d requests were acknowledged and %d are in the database", len(r.model.byID), seen)
	}
	return nil
}

// compare asks a hub for the one at an index of the line, until the answer speaks of the quiet point or later; that one must be exact. An
// answer that speaks of an earlier moment is no fault: the hub says so.
func (r *run) compare(ctx context.Context, t *target, line []*customer, at int) error {
	begun := time.Now()
	tick := time.NewTicker(askTick)
	defer tick.Stop()
	for {
		d, err := r.ask(ctx, t, line[at])
		if err != nil {
			return fmt.Errorf("hub %d: %w", t.number, err)
		}
		took := time.Since(begun)
		switch {
		case !d.AsOf.Before(r.since):
			r.res.Compared++
			r.res.CatchUpMax = max(r.res.CatchUpMax, float64(took.Milliseconds()))
			if d.Status != pending || d.Position != at+1 {
				r.wrong(t, "hub %d says %s of %s and place %d of %d instead of %d, as of %s, when it was quiet since %s",
					t.number, d.Status, line[at].ID, d.Position, len(line), at+1, d.AsOf, r.since)
			}
			return nil
		case took > catchUp:
			r.wrong(t, "hub %d still speaks of %s at %s", t.number, d.AsOf, r.since)
			return errors.New("a hub does not catch up")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// solo makes one move on a hub and asks there at once; then the others, until they show it.
func (r *run) solo(ctx context.Context, t *target, g *rand.Rand) error {
	what, from, to := "claim", pending, inProgress
	switch g.IntN(3) {
	case 0:
		what, from, to = "release", inProgress, pending
	case 1:
		what, from, to = "priority", pending, pending
	}
	if r.by(ctx, t, g, what, from, to) == nil {
		return nil
	}
	acked := time.Now()
	line := r.model.line()
	if len(line) == 0 {
		return nil
	}
	for range askedAfter {
		if err := r.compare(ctx, t, line, g.IntN(len(line))); err != nil {
			return err
		}
	}
	for _, other := range r.hubs {
		if other == t {
			continue
		}
		if err := r.shows(ctx, other, line); err != nil {
			return err
		}
		r.live = append(r.live, float64(time.Since(acked).Microseconds())/1000)
	}
	return nil
}

// shows asks for the last of the line, whom every change concerns but that of his own class behind nobody, until the place is right.
func (r *run) shows(ctx context.Context, t *target, line []*customer) error {
	begun := time.Now()
	tick := time.NewTicker(askTick)
	defer tick.Stop()
	for {
		right := true
		for _, at := range []int{0, len(line) / 2, len(line) - 1} {
			d, err := r.ask(ctx, t, line[at])
			if err != nil {
				return fmt.Errorf("hub %d: %w", t.number, err)
			}
			right = right && d.Position == at+1
		}
		if right {
			return nil
		}
		if time.Since(begun) > catchUp {
			r.wrong(t, "hub %d does not show a move that another made", t.number)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (r *run) finish() {
	slices.Sort(r.live)
	r.res.LiveP95MS = placekit.Percentile(r.live, 95)
	r.res.PerS = float64(int(float64(r.res.Done) / r.spent.Seconds()))
	r.res.Pending = r.model.waiting()
}
