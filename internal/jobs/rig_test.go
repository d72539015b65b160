package jobs

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// patience is how long a test waits for a signal that should come at once; the machine may be busy.
const patience = 30 * time.Second

// rig is one engine with River's tables and a table of ours.
type rig struct {
	name string
	db   *sql.DB
	pool *pgxpool.Pool
}

// onEngines runs the test on both.
func onEngines(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, sqliteRig(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, postgresRig(t)) })
}

func sqliteRig(t testing.TB) *rig {
	dsn := "file:" + testkit.SQLitePath(t) + "?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { noError(t, db.Close()) })
	r := &rig{name: "sqlite", db: db}
	prepare(t, r)
	return r
}

func postgresRig(t testing.TB) *rig {
	url := testkit.PostgresFrom(t, "jobs 1", func(url string) error {
		pool, err := pgxpool.New(context.Background(), url)
		if err != nil {
			return err
		}
		defer pool.Close()
		db := stdlib.OpenDBFromPool(pool)
		defer db.Close()
		return (&rig{name: "postgres", db: db, pool: pool}).prepare()
	})
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDBFromPool(pool)
	t.Cleanup(func() { noError(t, db.Close()); pool.Close() })
	return &rig{name: "postgres", db: db, pool: pool}
}

func prepare(t testing.TB, r *rig) {
	t.Helper()
	noError(t, r.prepare())
}

func (r *rig) prepare() error {
	c, err := New(r.options("migrator"))
	if err != nil {
		return err
	}
	if err := c.Migrate(context.Background()); err != nil {
		return err
	}
	_, err = r.db.ExecContext(context.Background(), `CREATE TABLE thing (id text PRIMARY KEY)`)
	return err
}

func (r *rig) options(instance string) Options {
	o := Options{Workers: 1, Instance: instance, Log: slog.New(slog.DiscardHandler)}
	if r.pool != nil {
		o.Postgres = r.pool
	} else {
		o.SQLite = r.db
	}
	return o
}

// quick is a tuning for tests: failures come back soon. Polling is a net only, as in use: a notice that comes in the instant of a start, before
// River listens, is found by it.
var quick = tuning{
	pollProvision: 3 * time.Second, pollRest: 3 * time.Second, drain: 50 * time.Millisecond, grace: patience,
	retry: retryPolicy{"provision": {time.Millisecond, time.Millisecond}, "mail": {time.Millisecond, time.Millisecond}, "cleanup": {time.Millisecond, time.Millisecond}, "retry": {time.Millisecond, time.Millisecond}},
}

// polling finds retries that are due: what is tried again announces itself to nobody.
func polling(t tuning) tuning {
	t.pollProvision, t.pollRest = 5*time.Millisecond, 5*time.Millisecond
	return t
}

func newTest(t testing.TB, o Options, tune tuning, h Handler) *Client {
	t.Helper()
	c, err := newClient(o, tune)
	noError(t, err)
	c.SetHandler(h)
	return c
}

func start(t testing.TB, c *Client) {
	t.Helper()
	noError(t, c.Start(t.Context()))
	t.Cleanup(func() { noError(t, c.Stop(context.Background())) })
}

// storeTx is what the store's transaction shows the jobs.
type storeTx struct {
	hub.Tx
	tx   *sql.Tx
	conn *sql.Conn
}

func (s *storeTx) Now() time.Time  { return time.Now().UTC() }
func (s *storeTx) SQLTx() *sql.Tx  { return s.tx }
func (s *storeTx) Conn() *sql.Conn { return s.conn }

// unit wraps it as a use case does.
type unit struct{ hub.Tx }

func (u *unit) Unwrap() hub.Tx { return u.Tx }

func (r *rig) begin(ctx context.Context, t testing.TB) *storeTx {
	t.Helper()
	s := &storeTx{}
	var err error
	if r.pool == nil {
		s.tx, err = r.db.BeginTx(ctx, nil)
		noError(t, err)
		return s
	}
	s.conn, err = r.db.Conn(ctx)
	noError(t, err)
	s.tx, err = s.conn.BeginTx(ctx, nil)
	noError(t, err)
	return s
}

func (s *storeTx) close(t testing.TB) {
	t.Helper()
	if s.conn != nil {
		noError(t, s.conn.Close())
	}
}

// commit runs fn in a transaction of its own.
func (r *rig) commit(t testing.TB, fn func(tx hub.Tx)) {
	t.Helper()
	s := r.begin(t.Context(), t)
	defer s.close(t)
	fn(&unit{s})
	noError(t, s.tx.Commit())
}

func (r *rig) count(t testing.TB, query string) (n int) {
	t.Helper()
	noError(t, r.db.QueryRowContext(t.Context(), query).Scan(&n))
	return n
}

// worker is a handler that tells the test what was called. A nil function does nothing.
type worker struct {
	provision func(ctx context.Context, id string) error
	cleanup   func(ctx context.Context, id string) error
	again     func(ctx context.Context, a hub.Again) error
	mail      func(ctx context.Context, id string, m hub.Mail) error
	beat      func() error
	reap      func() error
}

func (w *worker) Provision(ctx context.Context, id string) error {
	if w.provision == nil {
		return nil
	}
	return w.provision(ctx, id)
}

func (w *worker) Cleanup(ctx context.Context, id string) error {
	if w.cleanup == nil {
		return nil
	}
	return w.cleanup(ctx, id)
}

func (w *worker) RetryByItself(ctx context.Context, a hub.Again) error {
	if w.again == nil {
		return nil
	}
	return w.again(ctx, a)
}

func (w *worker) SendMail(ctx context.Context, id string, m hub.Mail) error {
	if w.mail == nil {
		return nil
	}
	return w.mail(ctx, id, m)
}

func (w *worker) Beat(context.Context) error {
	if w.beat == nil {
		return nil
	}
	return w.beat()
}

func (w *worker) Reap(context.Context) error {
	if w.reap == nil {
		return nil
	}
	return w.reap()
}

func (w *worker) Sweep(context.Context) error { return nil }

func (w *worker) Tidy(context.Context) error { return nil }

// receive waits for the next value.
func receive[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %s in vain for %s", patience, what)
		panic("unreachable")
	}
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// book is a log that tests read.
type book struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *book) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func key(i int) hub.LineKey {
	return hub.LineKey{ID: fmt.Sprintf("req_%03d", i), EnqueuedAt: time.Now()}
}
