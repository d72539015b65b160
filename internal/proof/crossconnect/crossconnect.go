//go:build unix

// Package crossconnect shows that no customer can enter another's database.
//
// The customers come by the whole product: they sign up, the pipeline makes their databases (some out of the pool, some from the template), and
// each is given its connection details once, by its status link. Then each one's details are tried at each other one's database: with n
// customers n × (n − 1) crossings. One counts as refused only if the server says so for want of the right to connect (SQLSTATE 42501); no answer,
// or a server that is full, shows nothing and is a violation. Each customer's own login must work, must be in the database that it was
// promised, and must be neither owner nor superuser (internal/proof/inspect).
//
// Beside that, every customer knocks at the databases that belong to nobody: the hub's own, the pool's, the templates, and the server's
// maintenance databases, which are closed as `kitshub doctor` says (elsewhere_…).
//
// The planted bug opens one customer's database to PUBLIC, which is what a fresh database is to Postgres.
package crossconnect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/pgkit"
	"github.com/kitshub/kitshub/internal/proof/progress"
)

// Result is the JSON line.
type Result struct {
	check.Report
	Tried            int            `json:"tried"`
	Refused          int            `json:"refused"`
	OwnOK            int            `json:"own_ok"`
	Verified         int            `json:"verified"` // by the catalog's text, and that the login is neither owner nor mighty
	ElsewhereTried   int            `json:"elsewhere_tried"`
	ElsewhereRefused int            `json:"elsewhere_refused"`
	Elsewhere        map[string]int `json:"elsewhere"` // how many databases of each kind were knocked at
	TriedPerS        float64        `json:"tried_per_s"`

	mu sync.Mutex
}

const (
	readyWithin = 5 * time.Minute
	signUps     = 4  // at once
	knocks      = 16 // at once
)

var plans = []pgkit.Plan{{ID: "starter", Features: []string{"inventory"}}, {ID: "everything", Features: pgkit.Everything}}

// Run makes o.N customers and tries all crossings.
func Run(ctx context.Context, o check.Options) (_ *Result, err error) {
	res := &Result{Elsewhere: map[string]int{}}
	res.Begin("cross-connect", o)
	if o.Engine != check.Postgres {
		return res, errors.New("only tenants on Postgres share a server; use -engine postgres")
	}
	if o.N < 2 {
		return res, errors.New("one customer has no neighbour; use -n 2 or more")
	}
	w, err := pgkit.NewWorld(ctx, o, pgkit.Options{Plans: plans, Env: []string{"TENANT_POOL_SIZE=2"}})
	defer func() { err = errors.Join(err, w.Close()) }()
	if err != nil {
		return res, err
	}
	hub, err := w.Start(ctx, "one")
	if err != nil {
		return res, err
	}
	w.Defer(hub.Kill)
	client := drive.NewClient(hub.URL, signUps)
	defer client.Close()
	customers, err := come(ctx, o, w, client, res)
	if err != nil {
		return res, err
	}
	res.Verified = w.VerifyAll(ctx, customers, &res.Report)
	if o.Sabotage {
		if _, err := w.Super.ExecContext(ctx, `GRANT CONNECT ON DATABASE `+pgx.Identifier{customers[0].Database}.Sanitize()+` TO PUBLIC`); err != nil {
			return res, err
		}
	}
	if err := res.knockEverywhere(ctx, w, customers); err != nil {
		return res, err
	}
	res.cross(ctx, o, customers)
	if want := o.N * (o.N - 1); res.Tried != want {
		res.Violate("%d crossings were tried instead of %d", res.Tried, want)
	}
	res.Done = res.OwnOK
	return res, nil
}

// come signs everybody up, waits until all are ready, and has each ask for its connection details.
func come(ctx context.Context, o check.Options, w *pgkit.World, client *drive.Client, res *Result) ([]*pgkit.Customer, error) {
	customers := make([]*pgkit.Customer, o.N)
	var all sync.WaitGroup
	errs := make([]error, signUps)
	for worker := range signUps {
		all.Go(func() {
			for i := worker; i < o.N && errs[worker] == nil; i += signUps {
				customers[i], errs[worker] = pgkit.SignUp(ctx, client, plans[i%len(plans)].ID, i)
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("sign up: %w", err)
	}
	waitCtx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	if left, err := w.AwaitAll(waitCtx); err != nil {
		return nil, fmt.Errorf("%d of %d requests were not finished in time: %w", left, o.N, err)
	}
	given, _ := pgkit.RevealAll(ctx, client, customers, &res.Report)
	if len(given) < o.N {
		return nil, fmt.Errorf("%d of %d customers have connection details", len(given), o.N)
	}
	return customers, nil
}

// cross tries every customer's details at every customer's database.
func (r *Result) cross(ctx context.Context, o check.Options, customers []*pgkit.Customer) {
	bar := progress.New(o.Log, "logins", len(customers)*len(customers))
	defer bar.Close()
	begun := time.Now()
	var all sync.WaitGroup
	places := make(chan struct{}, knocks)
	for _, c := range customers {
		for _, at := range customers {
			places <- struct{}{}
			all.Go(func() {
				defer func() { <-places }()
				defer bar.Add(1)
				if c == at {
					r.own(ctx, c)
					return
				}
				refused := r.knock(ctx, c, at.Database, "the database of "+at.Email)
				r.mu.Lock()
				defer r.mu.Unlock()
				r.Tried++
				if refused {
					r.Refused++
				}
			})
		}
	}
	all.Wait()
	r.TriedPerS = float64(int(float64(len(customers)*len(customers)) / time.Since(begun).Seconds()))
}

// noRight is what the server says to a role that may not connect to a database.
const noRight = "42501"

// knock reports whether the server refused the customer for want of the right; anything else is a violation.
func (r *Result) knock(ctx context.Context, c *pgkit.Customer, database, whose string) bool {
	conn, err := c.EnterAt(ctx, database)
	if err == nil {
		_ = conn.Close(ctx) // it should not be there at all
		r.Violate("%s was let into %s (%s)", c.Email, database, whose)
		return false
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == noRight {
		return true
	}
	r.Violate("%s at %s (%s) was not refused for want of the right, but: %v", c.Email, database, whose, err)
	return false
}

// own looks at a customer's login to what is its own: where it leads, and that it can write. What it may not, the judge asks.
func (r *Result) own(ctx context.Context, c *pgkit.Customer) {
	conn, err := c.Enter(ctx)
	if err != nil {
		r.Violate("%s cannot enter its own database: %v", c.Email, err)
		return
	}
	defer func() { _ = conn.Close(ctx) }()
	var database string
	var wrote int64
	err = conn.QueryRow(ctx, `SELECT current_database()`).Scan(&database)
	if err == nil {
		err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, `UPDATE settings SET value = value`)
			wrote = tag.RowsAffected()
			return errors.Join(err, errRollBack)
		})
	}
	switch {
	case !errors.Is(err, errRollBack):
		r.Violate("%s cannot work in its own database: %v", c.Email, err)
	case database != c.Database:
		r.Violate("%s was promised %s and is in %s", c.Email, c.Database, database)
	case wrote == 0:
		r.Violate("%s cannot write to its own database: %v", c.Email, err)
	default:
		r.mu.Lock()
		defer r.mu.Unlock()
		r.OwnOK++
	}
}

var errRollBack = errors.New("it was only a try")

// knockEverywhere tries everybody at what belongs to nobody.
func (r *Result) knockEverywhere(ctx context.Context, w *pgkit.World, customers []*pgkit.Customer) error {
	theirs := map[string]bool{}
	for _, c := range customers {
		theirs[c.Database] = true
	}
	rows, err := w.Super.QueryContext(ctx, `SELECT datname, coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	others := map[string]string{}
	for rows.Next() {
		var name, comment string
		if err := rows.Scan(&name, &comment); err != nil {
			return err
		}
		if theirs[name] {
			continue
		}
		others[name] = pgkit.KindOf(name, comment)
		r.Elsewhere[others[name]]++
	}
	if err := rows.Err(); err != nil {
		return err
	}
	var mu sync.Mutex
	pgkit.Each(customers, knocks, func(c *pgkit.Customer) {
		for name, kind := range others {
			refused := r.knockClosed(ctx, c, name, kind)
			mu.Lock()
			r.ElsewhereTried++
			if refused {
				r.ElsewhereRefused++
			}
			mu.Unlock()
		}
	})
	for _, kind := range []string{pgkit.KindTemplate, pgkit.KindHub, pgkit.KindServer} {
		if r.Elsewhere[kind] == 0 {
			r.Violate("nobody could knock at a database of the kind %q: there is none", kind)
		}
	}
	return nil
}

// closed is what the server says to everybody at a database that takes no connections, as a template's.
const closed = "55000"

func (r *Result) knockClosed(ctx context.Context, c *pgkit.Customer, database, kind string) bool {
	conn, err := c.EnterAt(ctx, database)
	var pg *pgconn.PgError
	switch {
	case err == nil:
		_ = conn.Close(ctx)
		r.Violate("%s was let into %s (%s)", c.Email, database, kind)
	case errors.As(err, &pg) && slices.Contains([]string{noRight, closed}, pg.Code):
		return true
	case errors.As(err, &pg) && pg.Code == gone && kind == pgkit.KindPool: // replaced meanwhile
		return true
	default:
		r.Violate("%s at %s (%s) was not refused for want of the right, but: %v", c.Email, database, kind, err)
	}
	return false
}

const gone = "3D000"
