package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/kitshub/kitshub/internal/hub"
)

// postgresEngine works on a pool; its inserts run on the connection of the hub's transaction.
type postgresEngine struct {
	runner[pgx.Tx]
	enqueue *river.Client[pgx.Tx]
}

func newPostgres(c *Client) (engine, error) {
	driver := riverpgxv5.New(c.opt.Postgres)
	work, err := river.NewClient(driver, c.config())
	if err != nil {
		return nil, err
	}
	enqueue, err := river.NewClient[pgx.Tx](quietDriver{riverpgxv5.New(c.opt.Postgres)}, c.insertConfig())
	if err != nil {
		return nil, err
	}
	return &postgresEngine{runner[pgx.Tx]{work: work, driver: driver, client: c}, enqueue}, nil
}

// quietDriver leaves out River's own NOTIFY, which it limits to one in each fetch cooldown: one left out because of another whose
// transaction commits earlier, or never, would leave a job to the poll.
type quietDriver struct{ *riverpgxv5.Driver }

func (quietDriver) SupportsListenNotify() bool { return false }

func (e *postgresEngine) insert(ctx context.Context, tx hub.Tx, args river.JobArgs, opts *river.InsertOpts) error {
	t, err := underlying(tx)
	if err != nil {
		return err
	}
	conn := t.Conn()
	if conn == nil {
		return errors.New("this transaction is not on Postgres")
	}
	return conn.Raw(func(driverConn any) error {
		c, ok := driverConn.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("a %T is no pgx connection", driverConn)
		}
		view := &txView{conn: c.Conn()}
		if _, err := e.enqueue.InsertTx(ctx, view, args, opts); err != nil {
			return err
		}
		// Postgres sends equal ones of a transaction once, and only if it commits.
		_, err := view.Exec(ctx, `SELECT pg_notify(concat(current_schema(), '.', $1::text), $2)`, topicInsert, insertPayload(opts.Queue))
		return err
	})
}

// Who holds running jobs, and who leads: River's scheduler of retries runs on the leader only, whose term is 15 s.
const holders = `
SELECT DISTINCT attempted_by[array_upper(attempted_by, 1)] FROM river_job WHERE state = 'running' AND array_length(attempted_by, 1) > 0
UNION SELECT leader_id FROM river_leader`

const free = `
UPDATE river_job SET state = 'available', attempt = greatest(attempt - 1, 0)
WHERE state = 'running' AND attempted_by[array_upper(attempted_by, 1)] = ANY($1)`

func (e *postgresEngine) reclaim(ctx context.Context) error {
	if err := e.release(ctx, []string{e.client.opt.Instance}); err != nil {
		return err
	}
	if err := e.rescue(ctx); err != nil {
		e.client.log.WarnContext(ctx, "the jobs of dead hubs could not be freed", "error", err)
	}
	return nil
}

func (e *postgresEngine) rescue(ctx context.Context) error {
	if e.client.opt.Alive == nil {
		return nil
	}
	rows, err := e.client.opt.Postgres.Query(ctx, holders)
	if err != nil {
		return err
	}
	suspects, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	me := e.client.opt.Instance
	suspects = slices.DeleteFunc(suspects, func(id string) bool { return id == me })
	if len(suspects) == 0 {
		return nil
	}
	// Asked after the jobs were seen: a hub beats before it takes its first job, so one that is new is among the living.
	alive, err := e.client.opt.Alive(ctx)
	if err != nil {
		return err
	}
	dead := slices.DeleteFunc(suspects, func(id string) bool { return slices.Contains(alive, id) })
	return e.release(ctx, dead)
}

// release frees what the instances hold. A hub that is slow but lives may still finish its job: the hub's leases fence that.
func (e *postgresEngine) release(ctx context.Context, instances []string) error {
	if len(instances) == 0 {
		return nil
	}
	return pgx.BeginFunc(ctx, e.client.opt.Postgres, func(tx pgx.Tx) error {
		freed, err := tx.Exec(ctx, free, instances)
		if err != nil {
			return err
		}
		if freed.RowsAffected() > 0 {
			e.client.log.WarnContext(ctx, "jobs of a hub that is gone are free again", "jobs", freed.RowsAffected(), "hubs", instances)
			for _, q := range []string{queueProvision, queueCleanup, queueRetry, queueMail} {
				if _, err := tx.Exec(ctx, `SELECT pg_notify(concat(current_schema(), '.', $1::text), $2)`, topicInsert, insertPayload(q)); err != nil {
					return err
				}
			}
		}
		_, err = tx.Exec(ctx, `DELETE FROM river_leader WHERE leader_id = ANY($1)`, instances)
		return err
	})
}
