//go:build unix

package placemodel

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/placekit"
)

// answer is the part of a request's document that is used here.
type answer struct {
	ID        string    `json:"id"`
	Status    string    `json:"status"`
	Priority  int       `json:"priority"`
	CreatedAt time.Time `json:"created_at"`
}

// callWithin is long, as a hub under kill -9 of its neighbours on a small machine is slow.
const callWithin = 30 * time.Second

// crowd is how many wait before leaving is drawn more often than joining.
const crowd = 1500

// move draws one move and makes it on a drawn hub.
func (r *run) move(ctx context.Context, g *rand.Rand) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	t := r.hubs[g.IntN(hubs)]
	for !t.up.Load() {
		t = r.hubs[g.IntN(hubs)]
	}
	x := g.IntN(100)
	if x < 30 && r.model.waiting() > crowd {
		x = 30 + g.IntN(70)
	}
	if x >= 97 {
		r.alone.Lock()
		defer r.alone.Unlock()
		r.claimNext(ctx, t)
		return
	}
	r.alone.RLock()
	defer r.alone.RUnlock()
	switch {
	case x < 30:
		r.join(ctx, t)
	case x < 52:
		r.by(ctx, t, g, "claim", pending, inProgress)
	case x < 72:
		r.by(ctx, t, g, "release", inProgress, pending)
	case x < 80:
		r.by(ctx, t, g, "cancel", []string{pending, inProgress}[g.IntN(2)], cancelled)
	default:
		r.by(ctx, t, g, "priority", pending, pending)
	}
}

// outcome sorts what came of a call.
func (r *run) outcome(what string, t *target, err error) (acked, doubtful bool) {
	var p *drive.Problem
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.res.Done++
		r.res.Moves[what]++
		return true, false
	case errors.As(err, &p) && p.Status < 500:
		r.res.Refused++
		r.res.Violate("%s on hub %d was refused: %v", what, t.number, p)
		return false, false
	}
	r.res.Unanswered++
	return false, true
}

func (r *run) join(ctx context.Context, t *target) {
	email := fmt.Sprintf("m%d@model.example", r.next.Add(1))
	var got struct {
		Request     answer `json:"request"`
		StatusToken string `json:"status_token"`
		Position    int    `json:"position"`
	}
	err := t.client.Call(ctx, http.MethodPost, "/api/v1/onboarding", drive.SignUp{
		Email: email, CompanyName: "Model " + email, ContactName: "Pat Proof", Plan: "enterprise",
	}, &got)
	acked, doubtful := r.outcome("join", t, err)
	if doubtful {
		r.model.mu.Lock()
		r.model.lost[email] = true
		r.model.mu.Unlock()
	}
	if !acked {
		return
	}
	if got.Position < 1 {
		r.res.Violate("a sign-up on hub %d was given place %d", t.number, got.Position)
	}
	r.model.add(&customer{
		Waiting: placekit.Waiting{ID: got.Request.ID, Priority: got.Request.Priority, At: got.Request.CreatedAt.UnixMicro()},
		email:   email, token: got.StatusToken, state: pending,
	})
}

// by makes a move of somebody who is in the state from.
func (r *run) by(ctx context.Context, t *target, g *rand.Rand, what, from, to string) *customer {
	c := r.model.reserve(g, from)
	if c == nil {
		return nil
	}
	var body any
	priority := c.Priority
	if what == "priority" {
		priority = placekit.Class(g)
		body = map[string]int{"priority": priority}
	}
	var got answer
	acked, doubtful := r.outcome(what, t, t.client.Call(ctx, http.MethodPost, "/api/v1/requests/"+c.ID+"/"+what, body, &got, r.auth))
	switch {
	case doubtful:
		r.model.doubt(c)
		return nil
	case !acked:
		r.model.free(c)
		return nil
	}
	if got.ID != c.ID || got.Status != to || got.Priority != priority || got.CreatedAt.UnixMicro() != c.At {
		r.res.Violate("%s of %s (%s, priority %d) on hub %d answered %+v", what, c.ID, from, priority, t.number, got)
	}
	r.readOwn(ctx, t, c, to)
	r.model.settle(c, to, priority)
	return c
}

// readOwn asks the same hub for what was just written there.
func (r *run) readOwn(ctx context.Context, t *target, c *customer, state string) {
	d, err := r.ask(ctx, t, c)
	if err != nil {
		return // the hub was killed meanwhile, or is about to be
	}
	if d.Status != state || (d.Position > 0) != (state == pending) {
		r.wrong(t, "hub %d says of %s right after its move to %s: %s, place %d", t.number, c.ID, state, d.Status, d.Position)
	}
}

// claimNext runs while nobody else calls, so that it must give the head.
func (r *run) claimNext(ctx context.Context, t *target) {
	head, certain := r.model.head(), r.model.certain()
	if head == nil || !certain { // the database may know better, and who else it gives would have to be found
		return
	}
	var got answer
	acked, doubtful := r.outcome("claim-next", t, t.client.Call(ctx, http.MethodPost, "/api/v1/requests/claim-next", nil, &got, r.auth))
	switch {
	case doubtful:
		r.model.doubt(head)
	case !acked:
	case got.ID != head.ID:
		r.res.Violate("claim-next on hub %d gave %s instead of the head %s", t.number, got.ID, head.ID)
		if c := r.model.byID[got.ID]; c != nil {
			r.model.settle(c, inProgress, c.Priority)
		}
	default:
		r.model.settle(head, inProgress, head.Priority)
	}
}

// told is what a hub says of somebody.
type told struct {
	Status   string    `json:"status"`
	Position int       `json:"position"`
	AsOf     time.Time `json:"as_of"`
}

// ask asks as the customer where the status link is known, else as an operator.
func (r *run) ask(ctx context.Context, t *target, c *customer) (d told, err error) {
	if c.token != "" && c.At%2 == 0 {
		return d, t.client.Call(ctx, http.MethodGet, "/api/v1/status", nil, &d, drive.Bearer(c.token))
	}
	return d, t.client.Call(ctx, http.MethodGet, "/api/v1/requests/"+c.ID, nil, &d, r.auth)
}

func (r *run) wrong(t *target, format string, args ...any) {
	r.mu.Lock()
	r.res.Wrong++
	r.res.WrongAt[t.number]++
	r.mu.Unlock()
	r.res.Violate(format, args...)
}
