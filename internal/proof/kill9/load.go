package kill9

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/drive"
)

// The load: enough callers that some are always waiting for an answer, paced so that the backlog stays one that a small machine works off.
const (
	customersAtOnce = 5
	operatorsAtOnce = 2
	pauseAtMost     = 80 * time.Millisecond
	callWithin      = 20 * time.Second // no answer for so long from a living hub is a violation
)

// load calls the hub.
type load struct {
	report   *check.Report
	record   *record
	traffic  *traffic
	public   *drive.Client
	oper     *drive.Client
	plans    []string // drawn from, with repetitions as weights
	manual   map[string]bool
	claims   chan string // requests that an operator shall take
	provider string      // that operators have the hub make backends by
	seed     int64
	all      sync.WaitGroup
}

func (l *load) start(ctx context.Context) {
	for i := range customersAtOnce {
		r := rand.New(rand.NewPCG(uint64(l.seed), uint64(i))) //nolint:gosec // the same seed shall give the same load
		l.all.Go(func() { l.customers(ctx, i, r) })
	}
	for i := range operatorsAtOnce {
		r := rand.New(rand.NewPCG(uint64(l.seed), uint64(100+i))) //nolint:gosec // likewise
		l.all.Go(func() { l.operator(ctx, r) })
	}
}

// call makes one call with f when the hub is up. It gives a refusal as a *drive.Problem; errNoAnswer when the hub died meanwhile; errOver at the end.
func (l *load) call(ctx context.Context, f func(context.Context) error) error {
	if !l.traffic.enter() {
		return errOver
	}
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	err := f(ctx)
	var p *drive.Problem
	answered := err == nil || errors.As(err, &p)
	l.traffic.leave(answered)
	switch {
	case answered:
		return err
	case errors.Is(err, context.DeadlineExceeded):
		l.report.Violate("a living hub gave no answer within %s", callWithin)
	}
	return errNoAnswer
}

var (
	errNoAnswer = errors.New("no answer came")
	errOver     = errors.New("the work is over")
)

// pause is the breath between two calls, cut short by a volley.
func (l *load) pause(ctx context.Context, r *rand.Rand) {
	t := time.NewTimer(time.Duration(r.Int64N(int64(pauseAtMost))))
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.traffic.inAHurry():
	case <-ctx.Done():
	}
}

func (l *load) customers(ctx context.Context, worker int, r *rand.Rand) {
	for i := 0; !l.traffic.isOver(); i++ {
		if wait := l.traffic.come(); wait != nil {
			select {
			case <-wait:
			case <-ctx.Done():
				return
			}
		}
		s := drive.SignUp{
			Email:       fmt.Sprintf("k%d-%d-%d@proof.example", l.seed, worker, i),
			CompanyName: fmt.Sprintf("Company %d/%d", worker, i), ContactName: "Pat Proof",
			Plan: l.plans[r.IntN(len(l.plans))],
		}
		key := ""
		if r.IntN(2) == 0 {
			key = fmt.Sprintf("key-%d-%d-%d", l.seed, worker, i)
		}
		l.signUp(ctx, s, key)
		l.pause(ctx, r)
	}
}

// signUp tries until an answer comes, as a careful program would.
func (l *load) signUp(ctx context.Context, s drive.SignUp, key string) {
	for try := 0; ; try++ {
		got, replayed := &drive.SignedUp{}, false
		err := l.call(ctx, func(ctx context.Context) error {
			var h []drive.Header
			if key != "" {
				h = append(h, drive.Header{Name: "Idempotency-Key", Value: key})
			}
			a, err := l.public.Do(ctx, http.MethodPost, "/api/v1/onboarding", s, h...)
			if err != nil {
				return err
			}
			replayed = a.Header.Get("Idempotency-Replayed") == "true"
			return a.Into(got)
		})
		switch {
		case errors.Is(err, errNoAnswer):
			continue
		case errors.Is(err, errOver):
			return
		case err == nil:
			l.record.ack(s, got)
			if key != "" && try > 0 {
				l.record.retry(replayed)
			}
			if l.manual[s.Plan] {
				l.offer(got.Request.ID)
			}
		case key == "" && try > 0 && drive.CodeOf(err) == "CUSTOMER_EXISTS":
			l.record.survive(s.Email) // the call without an answer had its effect
		case drive.CodeOf(err) == "UNAVAILABLE":
			continue
		default:
			l.report.Violate("sign-up of %s (key %q, try %d) was refused: %v", s.Email, key, try+1, err)
		}
		return
	}
}

// meetCreate comes back when the database of a customer who signs up for it has just begun to be made, and a drawn moment has passed, or after a
// while without it.
func (l *load) meetCreate(ctx context.Context, r *rand.Rand, kill int) error {
	email := fmt.Sprintf("k%d-make-%d@proof.example", l.seed, kill)
	l.signUp(ctx, drive.SignUp{Email: email, CompanyName: "Make", ContactName: "Pat Proof", Plan: stepwise}, "")
	begun := func(s drive.Step) bool { return s.Name == "create" && s.Status != "pending" }
	deadline := time.NewTimer(meetWithin[l.provider])
	defer deadline.Stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		p := l.record.of(email)
		if p == nil { // refused, which is noted
			return nil
		}
		st, err := l.public.Status(ctx, p.token)
		switch {
		case err != nil && drive.CodeOf(err) == "":
			return fmt.Errorf("ask for the status of %s: %w", email, err)
		case err == nil && slices.ContainsFunc(st.Progress.Steps, begun):
			return wait(ctx, time.Duration(r.Int64N(int64(makingAtMost))))
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// meetBetweenSteps comes back when the pipeline of the stepwise customer who is longest in the line has just done a step drawn at random, or
// after a while without one. Where no such customer is left it signs one up; one whom an operator holds is left out, since the operator may have
// died with the answer. It asks again and again rather than following the stream, whose two events a second are too few for steps of
// milliseconds.
func (l *load) meetBetweenSteps(ctx context.Context, r *rand.Rand, kill int) error {
	deadline := time.NewTimer(meetWithin[l.provider])
	defer deadline.Stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	aims := 0
	until := createAndIdentity + r.IntN(effectSteps)
	for {
		line := l.record.firstOf(stepwise)
		if len(line) == 0 {
			s := drive.SignUp{Email: fmt.Sprintf("k%d-aim-%d-%d@proof.example", l.seed, kill, aims), CompanyName: "Aim", ContactName: "Pat Proof", Plan: stepwise}
			aims++
			l.signUp(ctx, s, "")
		} else {
			st, err := l.public.Status(ctx, line[0].token)
			switch {
			case drive.CodeOf(err) != "":
				l.report.Violate("%s was acknowledged, and its status link answers %v", line[0].Email, err)
				line[0].passed = true
				continue
			case err != nil:
				return fmt.Errorf("ask for the status of %s: %w", line[0].Email, err)
			case st.Ended(), st.Status == "in_progress":
				line[0].passed = true
				continue
			case st.Progress.Completed > until:
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

const (
	createAndIdentity = 2
	lookEvery         = 3 * time.Millisecond
	makingAtMost      = 80 * time.Millisecond // most of what making a database takes
)

// meetWithin is how long a life may wait for the instant of its kill. On Postgres the first lives build templates.
var meetWithin = map[string]time.Duration{check.SQLite: 2 * time.Second, check.Postgres: 20 * time.Second}

// offer hands a request to the operators; when they are behind, those who clean up in the end find it in the line.
func (l *load) offer(id string) {
	select {
	case l.claims <- id:
	default:
	}
}

func (l *load) operator(ctx context.Context, r *rand.Rand) {
	for !l.traffic.isOver() {
		select {
		case id := <-l.claims:
			l.work(ctx, r, id)
		default:
			l.next(ctx, r)
		}
		l.pause(ctx, r)
	}
}

// next takes whoever stands first, also one whom the hub would have taken.
func (l *load) next(ctx context.Context, r *rand.Rand) {
	var got *drive.Request
	err := l.call(ctx, func(ctx context.Context) (err error) {
		got, err = l.oper.ClaimNext(ctx)
		return err
	})
	if err == nil {
		l.credentials(ctx, r, got.ID)
		return
	}
	l.expect("claim-next", err, "QUEUE_EMPTY")
}

// work takes one request to the pipeline. A move without an answer is made again, and may then find that it had its effect.
func (l *load) work(ctx context.Context, r *rand.Rand, id string) {
	for {
		err := l.call(ctx, func(ctx context.Context) error { _, err := l.oper.Move(ctx, id, "claim"); return err })
		if errors.Is(err, errNoAnswer) {
			continue
		}
		if l.expect("claim", err, "ALREADY_CLAIMED", "INVALID_TRANSITION") {
			l.credentials(ctx, r, id)
		}
		return
	}
}

func (l *load) credentials(ctx context.Context, r *rand.Rand, id string) {
	l.pause(ctx, r) // an operator thinks; meanwhile the request stands in in_progress
	if r.IntN(6) == 0 {
		err := l.call(ctx, func(ctx context.Context) error { _, err := l.oper.Move(ctx, id, "release"); return err })
		l.expect("release", err, "INVALID_TRANSITION", "FORBIDDEN")
		l.offer(id)
		return
	}
	for {
		err := l.call(ctx, func(ctx context.Context) error { return l.oper.Give(ctx, id, l.provider) })
		if errors.Is(err, errNoAnswer) {
			continue
		}
		l.expect("credentials", err, "INVALID_TRANSITION")
		return
	}
}

// expect reports whether the answer is one that a call may get here; any other is a violation.
func (l *load) expect(what string, err error, codes ...string) bool {
	if err == nil {
		return true
	}
	if errors.Is(err, errNoAnswer) || errors.Is(err, errOver) {
		return false
	}
	code := drive.CodeOf(err)
	for _, c := range append(codes, "UNAVAILABLE") {
		if c == code {
			return true
		}
	}
	l.report.Violate("%s was refused: %v", what, err)
	return false
}
