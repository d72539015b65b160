package jobs

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/kitshub/kitshub/internal/hub"
)

// engine is what differs between SQLite and Postgres.
type engine interface {
	// insert adds the job to the hub's transaction and sees to it that a worker looks when that commits.
	insert(ctx context.Context, tx hub.Tx, args river.JobArgs, opts *river.InsertOpts) error
	precision() time.Duration // of the times that River keeps
	migrate(ctx context.Context) error
	start(ctx context.Context) error
	stop(ctx context.Context) error
	// reclaim frees what a former process of this hub held; it runs before start.
	reclaim(ctx context.Context) error
	// rescue frees what dead hubs hold; it runs every hub.ReapEvery.
	rescue(ctx context.Context) error
}

// sqlTx is what the store's transactions have beside the hub's methods.
type sqlTx interface {
	SQLTx() *sql.Tx
	// Conn is the connection that the transaction began on; nil on SQLite.
	Conn() *sql.Conn
}

func underlying(tx hub.Tx) (sqlTx, error) {
	for {
		if t, ok := tx.(sqlTx); ok {
			return t, nil
		}
		// A use case wraps the store's transaction and shows it only as a hub.Tx.
		u, ok := tx.(interface{ Unwrap() hub.Tx })
		if !ok {
			return nil, fmt.Errorf("a %T is no transaction of the store", tx)
		}
		tx = u.Unwrap()
	}
}

// runner is the part of both engines that is the same but for River's type parameter.
type runner[T any] struct {
	work   *river.Client[T]
	driver riverdriver.Driver[T]
	client *Client
}

func (r *runner[T]) migrate(ctx context.Context) error {
	m, err := rivermigrate.New(r.driver, &rivermigrate.Config{Logger: r.client.config().Logger})
	if err != nil {
		return err
	}
	_, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}

func (r *runner[T]) start(ctx context.Context) error { return r.work.Start(ctx) }

// stop drains, then ends the jobs' contexts, on which River gives them back untried. River's own SoftStopTimeout would do the same, but its
// timer may outlast the stop and meet the next start.
func (r *runner[T]) stop(ctx context.Context) error {
	draining, cancel := context.WithTimeout(ctx, r.client.tuning.drain)
	defer cancel()
	err := r.work.Stop(draining)
	if err == nil || draining.Err() == nil {
		return err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.client.tuning.grace) // also when the caller has no more time
	defer cancel()
	return r.work.StopAndCancel(last)
}
