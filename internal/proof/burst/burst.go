//go:build unix

// Package burst shows that a crowd is served: n customers sign up within ten seconds, spread evenly, at a hub whose pool holds n databases of
// their plan. Each must be answered, completed, and have a database that is as the catalog says and nobody else's. The plan has every feature
// there is and is automatic.
//
// The sign-ups do not wait for one another, as customers do not. Each customer's program asks for the status until the request has ended;
// ready is from the sign-up's answer to that.
//
// The planted bug is a pool that forgets to take off its list what it hands out: the hub's table puts each row back that is deleted, and no key
// stands in the way of two tenants at one place.
package burst

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/pgkit"
	"github.com/kitshub/kitshub/internal/proof/placekit"
	"github.com/kitshub/kitshub/internal/proof/progress"
)

// Result is the JSON line. Times are milliseconds.
type Result struct {
	check.Report
	Signups   int     `json:"signups"`
	Failed    int     `json:"failed"`
	Shared    int     `json:"shared"`
	ReadyP50  float64 `json:"ready_p50_ms"`
	ReadyP99  float64 `json:"ready_p99_ms"`
	ReadyMax  float64 `json:"ready_max_ms"`
	HubsP99   float64 `json:"hubs_own_ready_p99_ms"` // by the hub's own clock, from before the answer
	AnswerP99 float64 `json:"answer_p99_ms"`
	FromPool  int     `json:"from_pool"`
	Verified  int     `json:"verified"`
	FillMS    int64   `json:"fill_ms"` // from the hub's start until the pool was full
	OverMS    int64   `json:"over_ms"` // in which the sign-ups came

	failing sync.Mutex
}

const (
	within     = 10 * time.Second // the sign-ups come
	plan       = "everything"
	fillFirst  = 3 * time.Minute // how long it may take to come to the first member of the pool, on a machine that does much else
	fillEach   = 2 * time.Second // and how long each takes at the most, on average
	fillAtMost = 5 * time.Minute
	askEvery   = 10 * time.Millisecond
	endWithin  = 2 * time.Minute
)

// Run has o.N customers sign up.
func Run(ctx context.Context, o check.Options) (_ *Result, err error) {
	res := &Result{}
	res.Begin("burst", o)
	if o.Engine != check.Postgres {
		return res, errors.New("only tenants on Postgres have a pool; use -engine postgres")
	}
	w, err := pgkit.NewWorld(ctx, o, pgkit.Options{
		Plans: []pgkit.Plan{{ID: plan, Features: pgkit.Everything}}, Env: []string{"TENANT_POOL_SIZE=" + strconv.Itoa(o.N)},
	})
	defer func() { err = errors.Join(err, w.Close()) }()
	if err != nil {
		return res, err
	}
	hub, err := w.Start(ctx, "one")
	if err != nil {
		return res, err
	}
	w.Defer(hub.Kill)
	if err := res.fill(ctx, o, w, hub); err != nil {
		return res, err
	}
	client := drive.NewClient(hub.URL, o.N)
	defer client.Close()
	made, err := w.TakeCensus(ctx)
	if err != nil {
		return res, err
	}
	if o.Sabotage {
		if err := forget(ctx, w); err != nil {
			return res, err
		}
	}
	customers := res.crowd(ctx, o, client)
	given, shared := pgkit.RevealAll(ctx, client, customers, &res.Report)
	res.Shared, res.Done = shared, len(given)
	for _, c := range given {
		if slices.ContainsFunc(made.Members, func(m pgkit.Owner) bool { return m.Database == c.Database }) {
			res.FromPool++
		}
	}
	if own, err := w.HubsOwn(ctx); err != nil {
		return res, err
	} else if len(own) > 0 {
		res.HubsP99 = placekit.Percentile(own, 99)
	}
	res.Verified = w.VerifyAll(ctx, given, &res.Report)
	return res, nil
}

// fill waits until the pool has a database for everybody.
func (r *Result) fill(ctx context.Context, o check.Options, w *pgkit.World, hub *drive.Hub) error {
	ctx, cancel := context.WithTimeout(ctx, min(fillAtMost, fillFirst+time.Duration(o.N)*fillEach))
	defer cancel()
	if err := w.AwaitPool(ctx, o.N, 1); err != nil {
		return err
	}
	r.FillMS = time.Since(hub.Started).Milliseconds()
	return nil
}

// forget is the planted bug.
func forget(ctx context.Context, w *pgkit.World) error {
	_, err := w.Hub.ExecContext(ctx, `ALTER TABLE tenants DROP CONSTRAINT tenants_provider_place_key;
		CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO pool_members SELECT OLD.*; RETURN NULL; END $$;
		CREATE TRIGGER forget AFTER DELETE ON pool_members FOR EACH ROW WHEN (OLD.state = 'ready') EXECUTE FUNCTION forget()`)
	return err
}

// crowd has everybody come at their time, and waits until all requests have ended. It gives those who were completed.
func (r *Result) crowd(ctx context.Context, o check.Options, client *drive.Client) []*pgkit.Customer {
	bar := progress.New(o.Log, "ready", o.N)
	defer bar.Close()
	ctx, cancel := context.WithTimeout(ctx, within+endWithin)
	defer cancel()
	var mu sync.Mutex
	var completed []*pgkit.Customer
	var ready, answers []float64
	var last time.Time
	begun := time.Now()
	var all sync.WaitGroup
	for i := range o.N {
		all.Go(func() {
			defer bar.Add(1)
			if err := pgkit.Wait(ctx, time.Until(begun.Add(within*time.Duration(i)/time.Duration(o.N)))); err != nil {
				return
			}
			asked := time.Now()
			c, err := pgkit.SignUp(ctx, client, plan, i)
			if err != nil {
				r.fail("sign-up %d got no good answer: %v", i, err)
				return
			}
			mu.Lock()
			answers = append(answers, ms(c.Answered.Sub(asked)))
			r.Signups++
			if c.Answered.After(last) {
				last = c.Answered
			}
			mu.Unlock()
			took, s, err := c.AwaitEnd(ctx, client, askEvery)
			switch {
			case err != nil:
				r.fail("%s (%s) was not ready in time: %v", c.Email, c.Request, err)
			case s.Status != "completed":
				r.fail("%s (%s) is %s: %s", c.Email, c.Request, s.Status, s.Reason)
			default:
				mu.Lock()
				ready, completed = append(ready, ms(took)), append(completed, c)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	r.OverMS = last.Sub(begun).Milliseconds()
	slices.Sort(ready)
	slices.Sort(answers)
	r.ReadyP50, r.ReadyP99, r.AnswerP99 = placekit.Percentile(ready, 50), placekit.Percentile(ready, 99), placekit.Percentile(answers, 99)
	if len(ready) > 0 {
		r.ReadyMax = ready[len(ready)-1]
	}
	return completed
}

func (r *Result) fail(format string, args ...any) {
	r.failing.Lock()
	r.Failed++
	r.failing.Unlock()
	r.Violate(format, args...)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
