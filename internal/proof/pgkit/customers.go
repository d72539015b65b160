//go:build unix

package pgkit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/drive"
)

// Customer is one acknowledged sign-up.
type Customer struct {
	drive.SignUp
	Request  string
	Token    string    // of the status link
	Answered time.Time // when the sign-up's answer was here
	Over     bool      // seen to be cancelled

	Conn     *drive.Connection // once revealed
	Database string            // likewise
}

// SignUp signs one customer up for all of a plan. Number tells customers apart; the call may be repeated with it.
func SignUp(ctx context.Context, c *drive.Client, plan string, number int) (*Customer, error) {
	return SignUpTo(ctx, c, plan, nil, number)
}

// SignUpTo does so for some of the plan's features.
func SignUpTo(ctx context.Context, c *drive.Client, plan string, features []string, number int) (*Customer, error) {
	s := drive.SignUp{
		Email: fmt.Sprintf("customer%d@proof.example", number), CompanyName: fmt.Sprintf("Company %d", number), ContactName: "Pat Proof",
		Plan: plan, Features: features,
	}
	got, err := c.SignUp(ctx, s, "proof-"+s.Email)
	if err != nil {
		return nil, err
	}
	return &Customer{SignUp: s, Request: got.Request.ID, Token: got.StatusToken, Answered: time.Now()}, nil
}

// askEvery is how often those who wait for many customers look.
const askEvery = 20 * time.Millisecond

// AwaitAll waits until no request is on its way any more, or ctx ends; it gives how many are left, by the hub's own table. One that failed and that
// the hub tries again by itself is on its way.
func (w *World) AwaitAll(ctx context.Context) (left int, err error) {
	for {
		err := w.Hub.QueryRowContext(ctx, `SELECT count(*) FROM requests WHERE
			CASE WHEN state = 'failed' THEN failure::jsonb ->> 'retry_at' IS NOT NULL ELSE state NOT IN ('completed', 'cancelled') END`).Scan(&left)
		if err != nil || left == 0 {
			return left, err
		}
		if err := Wait(ctx, askEvery); err != nil {
			return left, err
		}
	}
}

// AwaitEnd asks for a customer's status again and again until its request has ended, and gives how long after the sign-up's answer that was seen.
// It does not follow the event stream, whose two events a second are too few for what takes milliseconds.
func (c *Customer) AwaitEnd(ctx context.Context, client *drive.Client, every time.Duration) (took time.Duration, s *drive.Status, err error) {
	for {
		if s, err = client.Status(ctx, c.Token); err != nil {
			return 0, s, err
		}
		if s.Ended() {
			return time.Since(c.Answered), s, nil
		}
		if err := Wait(ctx, every); err != nil {
			return 0, s, err
		}
	}
}

// HubsOwn reads how long the hub itself says that each completed request took from sign-up to ready, in milliseconds, sorted.
func (w *World) HubsOwn(ctx context.Context) (ms []float64, err error) {
	err = each(ctx, w.Hub, `SELECT ready_ms FROM requests WHERE state = 'completed' ORDER BY ready_ms`, func(rows *sql.Rows) error {
		var x float64
		err := rows.Scan(&x)
		ms = append(ms, x)
		return err
	})
	return ms, err
}

// Wait is a pause that ends with ctx.
func Wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Each runs f for all customers, some at a time.
func Each(customers []*Customer, atOnce int, f func(*Customer)) {
	var all sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for _, c := range customers {
		places <- struct{}{}
		all.Go(func() { f(c); <-places })
	}
	all.Wait()
}

// Reveal asks for a customer's connection details, which are given once, after its status link has said that it is completed.
func (c *Customer) Reveal(ctx context.Context, client *drive.Client) error {
	s, err := client.Status(ctx, c.Token)
	if err != nil {
		return fmt.Errorf("the status link of %s (%s) does not work: %w", c.Email, c.Request, err)
	}
	if s.Status != "completed" {
		return fmt.Errorf("%s (%s) is %s: %s", c.Email, c.Request, s.Status, s.Reason)
	}
	if c.Conn, err = client.Reveal(ctx, c.Token); err != nil {
		return fmt.Errorf("%s (%s) cannot have the connection details: %w", c.Email, c.Request, err)
	}
	u, err := url.Parse(c.Conn.URL)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return fmt.Errorf("%s (%s) was given no postgres:// address", c.Email, c.Request)
	}
	c.Database = strings.TrimPrefix(u.Path, "/")
	return nil
}

// Enter opens a session as the customer's program would, by the address it was given.
func (c *Customer) Enter(ctx context.Context) (*pgx.Conn, error) { return c.EnterAt(ctx, c.Database) }

// EnterAt does so at another database of the same server, with the same name and password.
func (c *Customer) EnterAt(ctx context.Context, database string) (*pgx.Conn, error) {
	if c.Conn == nil {
		return nil, errors.New("its connection details were never asked for")
	}
	cfg, err := pgx.ParseConfig(c.Conn.URL)
	if err != nil {
		return nil, errors.New("its connection details cannot be read") // the error could show the password
	}
	cfg.Database = database
	return pgx.ConnectConfig(ctx, cfg)
}

// RevealAll asks for everybody's and reports who cannot have them; no two may have the same database. It gives those who have.
func RevealAll(ctx context.Context, client *drive.Client, customers []*Customer, res *check.Report) (given []*Customer, shared int) {
	var mu sync.Mutex
	holder := map[string]*Customer{}
	Each(customers, atOnce, func(c *Customer) {
		if err := c.Reveal(ctx, client); err != nil {
			res.Violate("%v", err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		given = append(given, c)
		if other := holder[c.Database]; other != nil {
			shared++
			res.Violate("%s and %s were given the same database %s", other.Email, c.Email, c.Database)
		}
		holder[c.Database] = c
	})
	return given, shared
}

const atOnce = 4

// VerifyAll holds every given customer's database against the catalog's text, with the customer's own login, and gives how many are as they
// should be.
func (w *World) VerifyAll(ctx context.Context, given []*Customer, res *check.Report) (verified int) {
	var mu sync.Mutex
	Each(given, atOnce, func(c *Customer) {
		features := c.Features
		if features == nil {
			features = w.Judge.PlanFeatures(c.Plan)
		}
		wrong, err := w.Judge.Tenant(ctx, c.Conn.URL, features)
		if err != nil {
			res.Violate("the database of %s (%s): %v", c.Email, c.Plan, err)
			return
		}
		for _, what := range wrong {
			res.Violate("the database of %s (%s, %s): %s", c.Email, c.Plan, c.Request, what)
		}
		if len(wrong) == 0 {
			mu.Lock()
			defer mu.Unlock()
			verified++
		}
	})
	return verified
}

// Effects reads how often each step had its effect in a customer's database, with the customer's own eyes.
func (c *Customer) Effects(ctx context.Context) (times map[string]int, err error) {
	conn, err := c.Enter(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	rows, err := conn.Query(ctx, Query)
	if err != nil {
		return nil, err
	}
	times = map[string]int{}
	var step string
	_, err = pgx.ForEachRow(rows, []any{&step}, func() error { times[step]++; return nil })
	return times, err
}
