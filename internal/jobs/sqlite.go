package jobs

import (
	"context"
	"database/sql"
	"errors"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riversqlite"

	"github.com/kitshub/kitshub/internal/hub"
)

// sqliteEngine works on the store's one writer connection.
type sqliteEngine struct {
	runner[*sql.Tx]
	bell *bell
}

func newSQLite(c *Client) (engine, error) {
	bell := newBell()
	driver := bellDriver{Driver: riversqlite.New(c.opt.SQLite), bell: bell}
	work, err := river.NewClient[*sql.Tx](driver, c.config())
	if err != nil {
		return nil, err
	}
	return &sqliteEngine{runner[*sql.Tx]{work: work, driver: driver, client: c}, bell}, nil
}

func (e *sqliteEngine) insert(ctx context.Context, tx hub.Tx, args river.JobArgs, opts *river.InsertOpts) error {
	t, err := underlying(tx)
	if err != nil {
		return err
	}
	if _, err := e.work.InsertTx(ctx, t.SQLTx(), args, opts); err != nil {
		return err
	}
	// This transaction holds the only connection, so the fetch that this starts cannot run before it ends.
	e.bell.ring(opts.Queue)
	return nil
}

// reclaim frees every running job: no other hub works on this file, and this one has not begun. It also ends the leadership of the former
// process, which would delay the retries of longer waits until it ran out.
func (e *sqliteEngine) reclaim(ctx context.Context) error {
	tx, err := e.client.opt.SQLite.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE river_job SET state = 'available', attempt = max(attempt - 1, 0) WHERE state = 'running'`)
	if err == nil {
		_, err = tx.ExecContext(ctx, `DELETE FROM river_leader`)
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// rescue has nothing to do: this hub is the only one.
func (e *sqliteEngine) rescue(context.Context) error { return nil }

// bellDriver is River's driver with a bell in the place of its outbox, which costs a row for each enqueue and twenty reads a second on the
// only connection.
type bellDriver struct {
	*riversqlite.Driver
	bell *bell
}

func (d bellDriver) GetListener(p *riverdriver.GetListenenerParams) riverdriver.Listener {
	return &bellListener{bell: d.bell, schema: p.Schema}
}

func (bellDriver) SupportsListener() bool     { return true }
func (bellDriver) SupportsListenNotify() bool { return false }
