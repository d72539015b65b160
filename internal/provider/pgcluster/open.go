package pgcluster

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/provider"
)

// Open connects with the tenant's own logins, never with the hub's: a script or a trigger that goes wrong can reach no neighbour. The owner's
// session works as the role that owns what is in the database. Its connections count against the budget while they are open, are taken at
// need, and are closed when idle as soon as somebody waits for room.
func (p *Provider) Open(ctx context.Context, b hub.Backend, c hub.Credentials, r hub.Role) (*sql.DB, error) {
	name, _, err := p.database(b)
	if err != nil {
		return nil, err
	}
	runtime, owner, err := passwords(c, name)
	if err != nil {
		return nil, err
	}
	cfg := p.adminConfig.Copy() // host, port and TLS are the cluster's as configured, not as written down when the tenant was made
	cfg.Database = name
	switch r {
	case hub.RoleOwner:
		cfg.User, cfg.Password = name+ownerSuffix, owner
		cfg.RuntimeParams["lock_timeout"] = strconv.FormatInt(provider.LockTimeout.Milliseconds(), 10)
	case hub.RoleTenant:
		cfg.User, cfg.Password = name+runtimeSuffix, runtime
		delete(cfg.RuntimeParams, "lock_timeout") // what the customer's program will find
	default:
		return nil, &hub.StepError{Class: hub.ClassBug, Err: fmt.Errorf("there is no role %.20q", r)}
	}
	conns := p.connector(ctx, cfg)
	db := p.handle(conns)
	conns.opening.Store(true)
	conn, err := db.Conn(ctx) // a ping would be one more round trip
	if err == nil {
		err = conn.Close() // to the pool
	}
	conns.opening.Store(false)
	if err != nil {
		return nil, errors.Join(p.explainLogin(ctx, b, name, err), db.Close())
	}
	return db, nil
}

// explainLogin tells a database that is not there, which the server hides behind "wrong password", from a password that is wrong.
func (p *Provider) explainLogin(ctx context.Context, b hub.Backend, name string, cause error) error {
	switch codeOf(cause) {
	case codeAuth, codePassword, codeNoDatabase, codeNotInState:
	default:
		return fault(ctx, "connecting to the database of tenant "+b.TenantID, cause)
	}
	var s state
	err := p.with(ctx, "looking for the database", func(a *admin) (err error) { s, err = a.look(ctx, name); return err })
	if err != nil {
		return err
	}
	if !s.exists || !s.open {
		return missing(b, codeOf(cause))
	}
	return fault(ctx, "connecting to the database of tenant "+b.TenantID, cause)
}

func missing(b hub.Backend, code string) error {
	if code == "" {
		code = codeNoDatabase
	}
	return &hub.StepError{Class: hub.ClassData, Code: code, Err: fmt.Errorf(
		"tenant %s has no database %s; retry from the create step, or restore a backup if it had one", b.TenantID, b.Place)}
}

// openDB makes a handle whose connections count against the budget.
func (p *Provider) openDB(ctx context.Context, cfg *pgx.ConnConfig) *sql.DB {
	return p.handle(p.connector(ctx, cfg))
}

func (p *Provider) connector(ctx context.Context, cfg *pgx.ConnConfig) *connector {
	return &connector{inner: stdlib.GetConnector(*cfg), p: p, purpose: purposeOf(ctx)}
}

func (p *Provider) handle(c *connector) *sql.DB {
	db := sql.OpenDB(c)
	// One to work on, and one for a query beside an open transaction.
	db.SetMaxOpenConns(2)
	db.SetMaxIdleConns(1)
	p.opened.add(c, db)
	return db
}

// connector takes from the budget before it connects.
type connector struct {
	inner   driver.Connector
	p       *Provider
	purpose Purpose
	opening atomic.Bool // while it is true, what is put back stays open
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := c.p.budget.take(ctx, c.purpose); err != nil {
		return nil, err
	}
	conn, err := c.inner.Connect(ctx)
	if err == nil {
		if inner, ok := conn.(*stdlib.Conn); ok {
			return &counted{Conn: inner, c: c, opened: time.Now()}, nil
		}
		err = errors.Join(fmt.Errorf("a connection of type %T was not foreseen", conn), conn.Close())
	}
	c.p.budget.give(c.purpose)
	return nil, err
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return c.inner.Driver() }

// Close is called by sql.DB's own.
func (c *connector) Close() error {
	c.p.opened.remove(c)
	return nil
}

// counted is a connection with a place in the budget.
type counted struct {
	*stdlib.Conn
	c      *connector
	opened time.Time
	once   sync.Once
}

// Close gives the place back when the server's process is gone.
func (c *counted) Close() error {
	c.once.Do(func() {
		c.c.p.budget.leave(c.c.purpose)
		c.c.p.farewell(context.Background(), c.Conn.Conn(), c.c.p.budget.gone)
	})
	return c.Conn.Close() // what the driver itself keeps of it
}

// ResetSession is called before each use but the first. It asks the server whether it is there, unless that was so less than freshFor ago.
func (c *counted) ResetSession(ctx context.Context) error {
	if conn := c.Conn.Conn(); time.Since(c.opened) < freshFor && !conn.IsClosed() && conn.PgConn().TxStatus() == 'I' {
		return nil
	}
	return c.Conn.ResetSession(ctx)
}

// IsValid is asked when the connection is put back: where somebody waits for room it is closed instead of kept idle. But not where it has only been
// opened: it is about to be used, and would be opened again.
func (c *counted) IsValid() bool { return c.c.opening.Load() || !c.c.p.budget.crowded() }

var (
	_ driver.Validator       = (*counted)(nil)
	_ driver.SessionResetter = (*counted)(nil)
)

// openDBs are the handles that are open, so that their idle connections can be asked back.
type openDBs struct {
	mu  sync.Mutex
	all map[*connector]*sql.DB
}

func (o *openDBs) add(c *connector, db *sql.DB) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all == nil {
		o.all = map[*connector]*sql.DB{}
	}
	o.all[c] = db
}

func (o *openDBs) remove(c *connector) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.all, c)
}

// shed closes what is idle, without the lock: closing one asks for it.
func (o *openDBs) shed(all bool, of Purpose) {
	o.mu.Lock()
	list := make([]*sql.DB, 0, len(o.all))
	for c, db := range o.all {
		if all || c.purpose == of {
			list = append(list, db)
		}
	}
	o.mu.Unlock()
	for _, db := range list {
		db.SetMaxIdleConns(0)
		db.SetMaxIdleConns(1)
	}
}

// Size in bytes, as the server counts it.
func (p *Provider) Size(ctx context.Context, b hub.Backend, _ hub.Credentials) (int64, error) {
	name, _, err := p.database(b)
	if err != nil {
		return 0, err
	}
	var size int64
	err = p.with(ctx, "measuring the database", func(a *admin) error {
		s, err := a.look(ctx, name)
		if err != nil {
			return err
		}
		if err := p.mine(b, s); err != nil {
			return err
		}
		return a.row(ctx, `SELECT pg_database_size($1::name)`, []any{name}, &size)
	})
	return size, err
}

// mine refuses a database that is not there or not this tenant's. One of the pool that is on its way to this tenant is not yet.
func (p *Provider) mine(b hub.Backend, s state) error {
	if !s.exists {
		return missing(b, "")
	}
	if s.marker != markerOf(b.TenantID, b.Generation) {
		return p.foreign(b, s)
	}
	return nil
}

// foreign refuses what is not ours or not this tenant's.
func (p *Provider) foreign(b hub.Backend, s state) error {
	says := "says nothing of whose it is"
	switch {
	case s.known:
		says = fmt.Sprintf("is marked as %s", s.marker.text(""))
	case s.comment != "":
		says = "carries a comment that is not the hub's"
	}
	return &hub.StepError{Class: hub.ClassData, Code: "FOREIGN_DATABASE", Err: fmt.Errorf(
		"the database at %s %s, so it is not that of tenant %s, generation %d; it was not touched: kitshub reconcile shows what it can be", b.Place, says, b.TenantID, b.Generation)}
}
