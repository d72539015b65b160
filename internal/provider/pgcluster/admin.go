package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/provider"
)

const (
	// maxIdle admin connections stay open, so that a hand-over finds one.
	maxIdle = 4
	// freshFor is how long an idle connection is believed to be alive without a question.
	freshFor    = time.Second
	dialTimeout = 10 * time.Second
)

// errKilled is how a test ends the provider between two statements.
var errKilled = errors.New("killed by a test")

// admin is a connection with the hub's own rights to the maintenance database.
type admin struct {
	p       *Provider
	conn    *pgx.Conn
	purpose Purpose
	since   time.Time // idle since
}

// idleAdmins are those that nobody uses.
type idleAdmins struct {
	mu     sync.Mutex
	list   []*admin
	closed bool
}

// with runs f on an admin connection. One on which anything went wrong is closed, which also ends the locks it holds.
func (p *Provider) with(ctx context.Context, op string, f func(*admin) error) error {
	a, err := p.connect(ctx)
	if err != nil {
		return fault(ctx, "connecting to cluster "+p.name, err)
	}
	switch err := f(a); {
	case errors.Is(err, errNoTemplate): // nothing went wrong, and its lock is given back
		a.release(ctx)
		return err
	case err != nil:
		a.close(ctx)
		return fault(ctx, op, err)
	}
	a.release(ctx)
	return nil
}

func (p *Provider) connect(ctx context.Context) (*admin, error) {
	purpose := purposeOf(ctx)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		a := p.takeIdle(purpose)
		if a == nil {
			break
		}
		if time.Since(a.since) < freshFor || a.conn.Ping(ctx) == nil {
			return a, nil
		}
		a.close(ctx)
	}
	if err := p.budget.take(ctx, purpose); err != nil {
		return nil, err
	}
	conn, err := p.dial(ctx, p.adminConfig.Database)
	if err != nil {
		p.budget.give(purpose)
		if !errors.Is(ctx.Err(), context.Canceled) { // the caller left, which says nothing of the cluster
			p.away.Store(true)
		}
		return nil, err
	}
	p.away.Store(false)
	return &admin{p: p, conn: conn, purpose: purpose}, nil
}

// dial connects as the hub. Other roles may have rights in the database, even that of making functions, so nothing of theirs is found by name.
func (p *Provider) dial(ctx context.Context, database string) (*pgx.Conn, error) {
	cfg := p.adminConfig.Copy()
	cfg.Database = database
	cfg.RuntimeParams["search_path"] = "pg_catalog"
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := newEnough(conn.PgConn().ParameterStatus("server_version")); err != nil {
		p.farewell(ctx, conn, func() {})
		return nil, err
	}
	return conn, nil
}

// minVersion is Postgres 15: STRATEGY wal_log, and a schema public that not everybody may write to.
const minVersion = 15

// newEnough goes by what the server says when it is connected to, before anything is asked that an old one may not know.
func newEnough(version string) error {
	digits := strings.IndexFunc(version, func(c rune) bool { return c < '0' || c > '9' })
	if digits < 0 {
		digits = len(version)
	}
	if major, err := strconv.Atoi(version[:digits]); err == nil && major >= minVersion {
		return nil
	}
	return &hub.StepError{Class: hub.ClassData, Code: "VERSION", Err: fmt.Errorf("the server's version is %.40q; the oldest that serves is %d", version, minVersion)}
}

func (p *Provider) takeIdle(purpose Purpose) *admin {
	p.idle.mu.Lock()
	defer p.idle.mu.Unlock()
	if len(p.idle.list) == 0 || !p.budget.unpark(purpose) {
		return nil
	}
	last := len(p.idle.list) - 1
	a := p.idle.list[last]
	p.idle.list = p.idle.list[:last]
	a.purpose = purpose
	return a
}

func (a *admin) release(ctx context.Context) {
	p := a.p
	p.idle.mu.Lock()
	keep := !p.idle.closed && len(p.idle.list) < maxIdle && !a.conn.IsClosed() && p.budget.park(a.purpose)
	if keep {
		a.since = time.Now()
		p.idle.list = append(p.idle.list, a)
	}
	p.idle.mu.Unlock()
	if !keep {
		a.close(ctx)
	}
}

func (a *admin) close(ctx context.Context) {
	a.p.budget.leave(a.purpose)
	a.p.farewell(ctx, a.conn, a.p.budget.gone)
}

// shedIdle closes the idle admin connections, because somebody waits for room.
func (p *Provider) shedIdle() {
	p.idle.mu.Lock()
	list := p.idle.list
	p.idle.list = nil
	p.idle.mu.Unlock()
	for _, a := range list {
		p.budget.leaveIdle()
		p.farewell(context.Background(), a.conn, p.budget.gone) // for the sake of somebody else, whoever's context this is
	}
}

// goneWithin is how long a server is given to end the process of a connection that is closed.
const goneWithin = time.Second

// farewell closes a connection and calls gone when the server's process has ended, or after a moment, so that the budget is that of the server and
// not only ours. The driver's own Close does not look. Nobody waits for it but the provider's Close: it is no part of anybody's work.
func (p *Provider) farewell(ctx context.Context, conn *pgx.Conn, gone func()) {
	var ended func()
	if h, err := conn.PgConn().Hijack(); err == nil {
		_ = h.Conn.SetDeadline(time.Now().Add(goneWithin))
		h.Frontend.Send(&pgproto3.Terminate{})
		said := h.Frontend.Flush() == nil
		ended = func() {
			if said {
				_, _ = io.Copy(io.Discard, h.Conn)
			}
			_ = h.Conn.Close()
		}
	} else { // it is closed already, or in the middle of something
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goneWithin)
		_ = conn.Close(ctx)
		ended = func() {
			defer cancel()
			select {
			case <-conn.PgConn().CleanupDone():
			case <-ctx.Done():
			}
		}
	}
	p.leaving.add(1)
	go func() {
		defer p.leaving.add(-1)
		ended()
		gone()
	}()
}

// leavers counts the connections that were told farewell. Unlike a sync.WaitGroup it may be added to while somebody waits.
type leavers struct {
	mu   sync.Mutex
	n    int
	none chan struct{} // closed when n is 0 again; nil while it is
}

func (l *leavers) add(d int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n += d; l.n > 0 && l.none == nil {
		l.none = make(chan struct{})
	} else if l.n == 0 {
		close(l.none)
		l.none = nil
	}
}

// wait waits until nobody leaves.
func (l *leavers) wait() {
	l.mu.Lock()
	none := l.none
	l.mu.Unlock()
	if none != nil {
		<-none
	}
}

// exec runs statements in one round trip; several are one transaction, but for those that cannot be in one. Nothing that a person typed may be
// part of them.
func (a *admin) exec(ctx context.Context, sql string) error {
	return a.step(ctx, func() error { return multi(ctx, a.conn.PgConn(), sql) })
}

// again runs statements of one transaction, and runs them again where they met a race with somebody else.
func (a *admin) again(ctx context.Context, statements ...string) error {
	sql := strings.Join(statements, ";")
	return provider.Again(ctx, func() error { return a.exec(ctx, sql) })
}

func multi(ctx context.Context, conn *pgconn.PgConn, sql string) error {
	_, err := conn.Exec(ctx, sql).ReadAll()
	return err
}

// row reads one row.
func (a *admin) row(ctx context.Context, sql string, args []any, into ...any) error {
	return a.step(ctx, func() error { return a.conn.QueryRow(ctx, sql, args...).Scan(into...) })
}

// step is where a test can kill: after the server has done the statement, which for the server is the same as before the next one.
func (a *admin) step(ctx context.Context, f func() error) error {
	if err := f(); err != nil || a.p.kill == nil {
		return err
	}
	return a.p.kill(ctx)
}

const (
	// lockPatience is how long the lock of a name is waited for: longer than building a template takes on a busy machine.
	lockPatience = 2 * time.Minute
	lockPause    = 10 * time.Millisecond
)

// locked runs f while holding the lock of a name, which all hubs of the cluster respect. Locks are those of the maintenance database, so all
// hubs must use the same one. A connection holds one at a time.
func (a *admin) locked(ctx context.Context, name string, f func() error) error {
	key, end := lockKey(name), time.Now().Add(lockPatience)
	for {
		locking := a.step(ctx, func() error { _, err := a.conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, key); return err })
		if locking == nil {
			break
		}
		if codeOf(locking) != codeLock || time.Now().After(end) {
			return fmt.Errorf("waiting for the lock of %s: %w", name, locking)
		}
		if err := a.unlock(ctx); err != nil {
			return err
		}
		if err := provider.Pause(ctx, lockPause); err != nil {
			return err
		}
	}
	err := f()
	if err != nil && !errors.Is(err, errNoTemplate) {
		return err // the connection is closed, and the lock with it
	}
	if unlocking := a.step(ctx, func() error { return a.unlock(ctx) }); unlocking != nil {
		return unlocking
	}
	return err
}

// unlock gives back whatever the session holds. All of it, and also after a wait that timed out: when the lock is granted in the instant of the
// time-out, the statement fails and the session has the lock.
func (a *admin) unlock(ctx context.Context) error {
	_, err := a.conn.Exec(ctx, `SELECT pg_advisory_unlock_all()`)
	return err
}
