//go:build unix

package handover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/pgkit"
	"github.com/kitshub/kitshub/internal/proof/placekit"
	"github.com/kitshub/kitshub/internal/proof/progress"
)

const askEvery = time.Millisecond

// wholePath has customers sign up one after the other, each when the pool is full.
func (r *Result) wholePath(ctx context.Context, o check.Options, w *pgkit.World) error {
	h, err := w.Start(ctx, "one", "TENANT_POOL_SIZE="+strconv.Itoa(poolSize))
	if err != nil {
		return err
	}
	w.Defer(h.Kill)
	client := drive.NewClient(h.URL, 2)
	defer client.Close()
	bar := progress.New(o.Log, "ready", o.N)
	defer bar.Close()
	var customers []*pgkit.Customer
	var ready []float64
	pooled := map[string]bool{}
	for i := range o.N {
		if err := awaitFull(ctx, w); err != nil {
			return err
		}
		census, err := w.TakeCensus(ctx)
		if err != nil {
			return err
		}
		for _, m := range census.Members {
			pooled[m.Database] = true
		}
		took, c, err := one(ctx, client, i)
		if err != nil {
			r.Violate("%v", err)
			continue
		}
		ready, customers = append(ready, ms(took)), append(customers, c)
		r.Done++
		bar.Add(1)
	}
	slices.Sort(ready)
	r.ReadyP50, r.ReadyP99 = placekit.Percentile(ready, 50), placekit.Percentile(ready, 99)
	if len(ready) > 0 {
		r.ReadyMax = ready[len(ready)-1]
	}
	own, err := w.HubsOwn(ctx)
	if err != nil {
		return err
	}
	r.HubsP50, r.HubsP99 = placekit.Percentile(own, 50), placekit.Percentile(own, 99)
	given, _ := pgkit.RevealAll(ctx, client, customers, &r.Report)
	for _, c := range given {
		if pooled[c.Database] {
			r.FromPool++
		}
	}
	if r.FromPool < len(given) {
		r.Violate("%d of %d customers found the pool full and were not served from it", len(given)-r.FromPool, len(given))
	}
	r.Verified = w.VerifyAll(ctx, given, &r.Report)
	return h.Stop()
}

func awaitFull(ctx context.Context, w *pgkit.World) error {
	ctx, cancel := context.WithTimeout(ctx, fillWithin)
	defer cancel()
	return w.AwaitPool(ctx, poolSize, 1)
}

func one(ctx context.Context, client *drive.Client, number int) (time.Duration, *pgkit.Customer, error) {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	c, err := pgkit.SignUp(ctx, client, plan, number)
	if err != nil {
		return 0, nil, fmt.Errorf("sign-up %d got no good answer: %w", number, err)
	}
	took, s, err := c.AwaitEnd(ctx, client, askEvery)
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("%s (%s) was not ready in time: %w", c.Email, c.Request, err)
	case s.Status != "completed":
		return 0, nil, fmt.Errorf("%s (%s) is %s: %s", c.Email, c.Request, s.Status, s.Reason)
	}
	return took, c, nil
}

// The refill.
const (
	copiesAtOnce = 4 // more at once are slower together
	mostCopies   = 40
	fewestCopies = 8
)

// refill measures the raw rate before and after the hub's own, so that a drift of the machine falls on both.
func (r *Result) refill(ctx context.Context, o check.Options, w *pgkit.World) error {
	n := min(max(o.N, fewestCopies), mostCopies)
	var source string
	err := w.Super.QueryRowContext(ctx, `SELECT datname FROM pg_database WHERE shobj_description(oid, 'pg_database') ~ '^kitshub:template:[0-9a-f]{32}:'
		AND shobj_description(oid, 'pg_database') !~ '@proof$'`).Scan(&source)
	if err != nil {
		return fmt.Errorf("find the hub's template: %w", err)
	}
	before, err := rawCopies(ctx, w, source, "before", n)
	if err != nil {
		return err
	}
	made, err := hubsCopies(ctx, w, n)
	if err != nil {
		return err
	}
	after, err := rawCopies(ctx, w, source, "after", n)
	if err != nil {
		return err
	}
	r.RawPerMin, r.MadePerMin = round((before+after)/2), round(made)
	r.Refill = round(r.MadePerMin / r.RawPerMin)
	return nil
}

// rawCopies copies a template n times and gives how many a minute that would be.
func rawCopies(ctx context.Context, w *pgkit.World, source, name string, n int) (perMinute float64, err error) {
	conns := make([]*pgx.Conn, copiesAtOnce)
	for i := range conns {
		if conns[i], err = pgx.Connect(ctx, w.Admin); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, conns[i].Close(context.WithoutCancel(ctx))) }()
	}
	if err := writeOut(ctx, w); err != nil {
		return 0, err
	}
	errs := make([]error, copiesAtOnce)
	var all sync.WaitGroup
	begun := time.Now()
	for c, conn := range conns {
		all.Go(func() {
			for i := c; i < n && errs[c] == nil; i += copiesAtOnce {
				_, errs[c] = conn.Exec(ctx, fmt.Sprintf(`CREATE DATABASE %s%d TEMPLATE %s STRATEGY wal_log`, name, i, pgx.Identifier{source}.Sanitize()))
			}
		})
	}
	all.Wait()
	return float64(n) / time.Since(begun).Minutes(), errors.Join(errs...)
}

// hubsCopies gives a hub room for n more in its pool, and says how many a minute it makes, by its own record of when each was begun and ready.
func hubsCopies(ctx context.Context, w *pgkit.World, n int) (float64, error) {
	if err := writeOut(ctx, w); err != nil {
		return 0, err
	}
	h, err := w.Start(ctx, "one", "TENANT_POOL_SIZE="+strconv.Itoa(poolSize+n))
	if err != nil {
		return 0, err
	}
	fill, cancel := context.WithTimeout(ctx, fillWithin)
	defer cancel()
	if err := w.AwaitPool(fill, poolSize+n, 1); err != nil {
		return 0, errors.Join(err, h.Kill())
	}
	var seconds float64
	err = w.Hub.QueryRowContext(ctx, `SELECT extract(epoch FROM max(ready_at::timestamptz) - min(created_at::timestamptz)) FROM
		(SELECT * FROM pool_members ORDER BY created_at DESC LIMIT $1) newest`, n).Scan(&seconds)
	if err != nil {
		return 0, errors.Join(err, h.Kill())
	}
	return 60 * float64(n) / seconds, h.Stop()
}
