// Package store is the hub's own database: all of its SQL, one text for SQLite and Postgres. It implements hub.Store and nothing of the
// rules: what may follow what is decided in hub, here it is only kept. dialect.go alone knows which engine it is.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/kitshub/kitshub/internal/hub"
)

//go:embed migrations
var migrations embed.FS

// Store implements hub.Store.
type Store struct {
	dialect dialect
	write   *sql.DB // SQLite: one connection
	read    *sql.DB
	pool    *pgxpool.Pool // Postgres only
	dir     string        // SQLite only
}

// Options sizes the connections to a Postgres database.
type Options struct {
	MaxConns       int           // 0: 20
	IdleTimeout    time.Duration // 0: 30 s
	ConnectTimeout time.Duration // 0: 2 s
}

// How SQLite is tuned. One writer, since SQLite has one writer: a second connection could only wait, and starves River. FULL, since what
// was acknowledged must survive a power cut.
const (
	sqliteReaders = 4
	sqliteBusy    = 10 * time.Second // another process may write: the command line
	sqliteFile    = "hub.db"
)

// OpenSQLite opens (or makes) the embedded database in dir.
func OpenSQLite(dir string) (*Store, error) {
	path := filepath.Join(dir, sqliteFile)
	pragmas := func(more ...string) string {
		q := url.Values{"_txlock": {"immediate"}}
		for _, p := range append([]string{
			fmt.Sprintf("busy_timeout(%d)", sqliteBusy.Milliseconds()), "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
			"cache_size(-8000)", "temp_store(MEMORY)",
		}, more...) {
			q.Add("_pragma", p)
		}
		return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}).String()
	}
	w, err := sql.Open("sqlite", pragmas())
	if err != nil {
		return nil, err
	}
	w.SetMaxOpenConns(1)
	r, err := sql.Open("sqlite", pragmas("query_only(1)"))
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	r.SetMaxOpenConns(sqliteReaders)
	r.SetMaxIdleConns(sqliteReaders)
	return &Store{dialect: sqliteDialect, write: w, read: r, dir: dir}, nil
}

// OpenPostgres opens a pool to the database at url. It does not wait for an answer; Ping does.
func OpenPostgres(ctx context.Context, dsn string, o Options) (*Store, error) {
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("DATABASE_URL is not a Postgres connection string") // the cause may hold the password
	}
	cfg.MaxConns = int32(o.MaxConns) //nolint:gosec // config bounds it
	if o.MaxConns <= 0 {
		cfg.MaxConns = 20
	}
	if cfg.MaxConnIdleTime = o.IdleTimeout; o.IdleTimeout <= 0 {
		cfg.MaxConnIdleTime = 30 * time.Second
	}
	if cfg.ConnConfig.ConnectTimeout = o.ConnectTimeout; o.ConnectTimeout <= 0 {
		cfg.ConnConfig.ConnectTimeout = 2 * time.Second
	}
	cfg.ConnConfig.RuntimeParams["application_name"] = "kitshub"
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	db := stdlib.OpenDBFromPool(pool)
	return &Store{dialect: postgresDialect, write: db, read: db, pool: pool}, nil
}

// Engine names the engine: sqlite or postgres.
func (s *Store) Engine() string { return s.dialect.name }

// WriterDB gives the connection that writes, for the job engine. On SQLite it is the only one.
func (s *Store) WriterDB() *sql.DB { return s.write }

// Pool gives the Postgres pool, or nil on SQLite.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Close ends all connections.
func (s *Store) Close() error {
	err := s.write.Close()
	if s.read != s.write {
		err = errors.Join(err, s.read.Close())
	}
	if s.pool != nil {
		s.pool.Close()
	}
	return err
}

// Migrate brings the schema to this version, and then whatever else shares the database (the job engine's tables). Several processes may do
// so at once: one works, the others wait and find it done.
func (s *Store) Migrate(ctx context.Context, also ...func(context.Context) error) error {
	unlock, err := s.lockSchema(ctx)
	if err != nil {
		return s.explain(err)
	}
	defer unlock()
	dir, err := fs.Sub(migrations, s.dialect.migrations)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(s.dialect.goose, s.write, dir, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return s.explain(err)
	}
	for _, f := range also {
		if err := f(ctx); err != nil {
			return s.explain(err)
		}
	}
	return nil
}

// schemaLock is the advisory lock's number on Postgres: any, as long as it never changes ("kitshub" in ASCII).
const schemaLock = 0x6b697473687562

// migratePoll is how often a waiting process looks whether the other one is done; the file lock itself cannot be waited for under a context.
const migratePoll = 20 * time.Millisecond

// lockSchema takes the lock that one migrating process holds: an advisory lock of a session on Postgres, a file lock on SQLite. Both end with
// the process at the latest.
func (s *Store) lockSchema(ctx context.Context) (unlock func(), err error) {
	if s.pool == nil {
		l := flock.New(filepath.Join(s.dir, "migrate.lock"))
		if _, err := l.TryLockContext(ctx, migratePoll); err != nil {
			return nil, err
		}
		return func() { _ = l.Unlock() }, nil
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(schemaLock)); err != nil {
		conn.Release()
		return nil, err
	}
	return func() {
		if _, err := conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, int64(schemaLock)); err != nil {
			_ = conn.Conn().Close(context.WithoutCancel(ctx)) // closing the session frees the lock for sure
		}
		conn.Release()
	}, nil
}

// Ping implements hub.Store.
func (s *Store) Ping(ctx context.Context) error {
	return s.explain(s.run(ctx, s.read, s.dialect.readOptions(), func(tx hub.Tx) error {
		var one int
		return tx.(*Tx).tx.QueryRowContext(ctx, "SELECT 1").Scan(&one) //nolint:forcetypeassert // run makes them
	}))
}

// Tx implements hub.Tx. It is good until the function it was given to returns.
type Tx struct {
	tx   *sql.Tx
	conn *sql.Conn // Postgres: what the transaction runs on, so that jobs can be inserted in it
	d    dialect
	now  time.Time
}

// Now implements hub.Tx.
func (t *Tx) Now() time.Time { return t.now }

// SQLTx gives the transaction itself, for the job engine.
func (t *Tx) SQLTx() *sql.Tx { return t.tx }

// Conn gives the Postgres connection the transaction runs on; nil on SQLite.
func (t *Tx) Conn() *sql.Conn { return t.conn }

// A transaction that lost against another one is run again, after a short pause with jitter.
const (
	writeTries = 5
	writePause = 5 * time.Millisecond
)

// Write implements hub.Store.
func (s *Store) Write(ctx context.Context, fn func(hub.Tx) error) error {
	for try := 1; ; try++ {
		err := s.run(ctx, s.write, nil, fn)
		if err == nil || try == writeTries || ctx.Err() != nil || !(isRetryable(err) || errors.Is(err, hub.ErrConflict)) {
			return s.explain(err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rand.N(writePause << try)): //nolint:gosec // jitter needs no secrecy
		}
	}
}

// Read implements hub.Store.
func (s *Store) Read(ctx context.Context, fn func(hub.Tx) error) error {
	return s.explain(s.run(ctx, s.read, s.dialect.readOptions(), fn))
}

// run runs fn in one transaction. After the server was restarted the pool is full of connections that died; what such a one fails at before
// fn ran is tried on the next, so that a restart costs nobody an error. A server that cannot be reached at all is told at once.
func (s *Store) run(ctx context.Context, db *sql.DB, opts *sql.TxOptions, fn func(hub.Tx) error) error {
	for dead := 0; ; dead++ {
		began, err := s.once(ctx, db, opts, fn)
		if began || s.pool == nil || dead > int(s.pool.Config().MaxConns) || ctx.Err() != nil || !isGone(err) || isUnreachable(err) {
			return err
		}
	}
}

func (s *Store) once(ctx context.Context, db *sql.DB, opts *sql.TxOptions, fn func(hub.Tx) error) (began bool, err error) {
	t := &Tx{d: s.dialect}
	if s.pool != nil {
		if t.conn, err = db.Conn(ctx); err != nil {
			return false, err
		}
		defer func() {
			if cerr := t.conn.Close(); err == nil && cerr != nil && !errors.Is(cerr, sql.ErrConnDone) {
				err = cerr
			}
		}()
		t.tx, err = t.conn.BeginTx(ctx, opts)
	} else {
		t.tx, err = db.BeginTx(ctx, opts)
	}
	if err != nil {
		return false, err
	}
	done := false
	defer func() {
		if !done { // an error or a panic: nothing of it stays
			if rerr := t.tx.Rollback(); rerr != nil && !errors.Is(rerr, sql.ErrTxDone) {
				err = errors.Join(err, rerr)
			}
		}
	}()
	if t.now, err = s.dialect.now(ctx, t.tx); err != nil {
		return false, err
	}
	if err := fn(t); err != nil {
		return true, err
	}
	done = true
	err = t.tx.Commit()
	if s.pool != nil && isGone(err) {
		return true, hub.OutcomeUnknown(err)
	}
	return true, err
}

// explain turns what the database said into what the hub can say; a refusal of the domain passes through.
func (s *Store) explain(err error) error {
	var e *hub.Error
	switch {
	case err == nil, errors.As(err, &e), errors.Is(err, hub.ErrConflict), errors.Is(err, context.Canceled):
		return err
	case isDiskFull(err):
		return hub.DiskFull(err)
	case isGone(err), isRetryable(err), errors.Is(err, context.DeadlineExceeded):
		return hub.Unavailable(err)
	}
	return err
}

// LoadKeyring gives the sealed keyring, or nil when there is none yet.
func (s *Store) LoadKeyring(ctx context.Context) ([]byte, error) {
	var b []byte
	err := s.read.QueryRowContext(ctx, "SELECT sealed FROM keyrings WHERE id = 1").Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return b, s.explain(err)
}

// CreateKeyring stores the sealed keyring if there is none; it gives back the one that is there then. The first writer wins.
func (s *Store) CreateKeyring(ctx context.Context, sealed []byte) ([]byte, error) {
	_, err := s.write.ExecContext(ctx, "INSERT INTO keyrings (id, sealed, created_at) VALUES (1, $1, $2) ON CONFLICT (id) DO NOTHING", sealed, stamp(time.Now()))
	if err != nil {
		return nil, s.explain(err)
	}
	return s.LoadKeyring(ctx)
}
