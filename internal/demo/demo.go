package demo

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/kitshub/kitshub/internal/catalog"
	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/inspect"
)

// The values of Options.Engine.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// Options say what is to be shown.
type Options struct {
	Customers int    // how many sign up; at least 1
	Seed      int64  // same seed, same customers
	Engine    string // of the hub's own database and its customers'; empty is SQLite
	JSON      bool   // one line of JSON instead of sentences
	Keep      bool   // leave the data, and say where
	Stay      bool   // leave the hub running after the result, until ctx ends
	Binary    string // the kitshub to run; os.Executable() of the command
	Catalog   fs.FS  // what the databases are compared with; nil: the built-in one, which the throwaway hub uses
	Stdout    io.Writer
	Stderr    io.Writer
}

// Result is what came of it.
type Result struct {
	Customers   int     `json:"customers"`
	Completed   int     `json:"completed"`
	Failed      int     `json:"failed"`
	Verified    int     `json:"verified"`
	TimeToReady Spread  `json:"time_to_ready_ms"`
	ElapsedMS   int64   `json:"elapsed_ms"`
	Engine      string  `json:"engine"`
	Seed        int64   `json:"seed"`
	PeakRSSMB   float64 `json:"hub_peak_rss_mb,omitempty"`
}

// Spread is a middle and a slow end, in milliseconds.
type Spread struct {
	P50 int64 `json:"p50"`
	P99 int64 `json:"p99"`
}

// A run that takes longer is stuck: figures ask for a sixth of a second a customer.
const (
	patience            = 2 * time.Minute
	patiencePerCustomer = time.Second
)

// Run shows the main job. The error says what was not as promised; nil means that every customer has a verified database.
func Run(ctx context.Context, o Options) (err error) {
	if o.Customers < 1 {
		return fmt.Errorf("there must be at least one customer, not %d", o.Customers)
	}
	o.Engine = cmp.Or(o.Engine, SQLite)
	if o.Engine != SQLite && o.Engine != Postgres {
		return fmt.Errorf("there is no engine %q; use sqlite or postgres", o.Engine)
	}
	if o.Catalog == nil {
		o.Catalog = catalog.BuiltinFS()
	}
	files, err := inspect.Read(o.Catalog)
	if err != nil {
		return err
	}
	begun := time.Now()
	st, err := setUp(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.tearDown()) }()

	work, cancel := context.WithTimeout(ctx, patience+time.Duration(o.Customers)*patiencePerCustomer)
	defer cancel()
	m, err := newMain(work, o, st, files)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.judge.Close()) }()
	m.run(work)
	res := m.result()
	res.ElapsedMS = time.Since(begun).Milliseconds()
	if err := o.tell(res, m); err != nil {
		return err
	}
	verdict := res.verdict()
	if ctx.Err() != nil {
		verdict = errors.Join(ctx.Err(), verdict)
	} else if o.Stay {
		verdict = errors.Join(verdict, st.stay(ctx, o))
	}
	return verdict
}

func (r Result) verdict() error {
	if r.Verified == r.Customers && r.Failed == 0 {
		return nil
	}
	return fmt.Errorf("of %d customers %d are ready, %d failed and %d are verified", r.Customers, r.Completed, r.Failed, r.Verified)
}

func (o Options) tell(r Result, m *mainJob) error {
	for _, t := range m.troubles() {
		fmt.Fprintln(o.Stderr, t)
	}
	if o.JSON {
		return json.NewEncoder(o.Stdout).Encode(r)
	}
	more := ""
	if o.Engine == Postgres {
		more = ", and neighbours are refused"
	}
	_, err := fmt.Fprintf(o.Stdout, `%d of %d customers have their own database, ready and tried.
%d of them were opened from outside: tables, keys, indexes, seeds and ledger are what the catalog's files say%s.
From sign-up to ready: half within %d ms, 99 in 100 within %d ms. The whole run took %.1f s.
`, r.Completed, r.Customers, r.Verified, more, r.TimeToReady.P50, r.TimeToReady.P99, float64(r.ElapsedMS)/1000)
	return err
}

// stage is the throwaway hub with what it stands on.
type stage struct {
	dir      string
	keep     bool
	hub      *drive.Hub
	hubOpts  drive.Options
	operator drive.Operator
	database database // on Postgres
	stderr   io.Writer
}

// database is the hub's own, on a throwaway Postgres.
type database struct {
	name   string
	url    string // of the role that the hub has: not a superuser
	server string // of the superuser
	stop   func() error
}

// judge compares customers' databases with the catalog's text.
func (st *stage) judge(files *inspect.Catalog) *inspect.Judge {
	if st.database.server != "" {
		return inspect.NewPostgresJudge(files, st.database.server)
	}
	return inspect.NewJudge(files)
}

func setUp(ctx context.Context, o Options) (_ *stage, err error) {
	dir, err := os.MkdirTemp("", "kitshub-demo-")
	if err != nil {
		return nil, fmt.Errorf("a place for the demo: %w", err)
	}
	st := &stage{dir: dir, keep: o.Keep, stderr: o.Stderr}
	defer func() {
		if err != nil {
			st.keep = false
			err = errors.Join(err, st.tearDown())
		}
	}()
	st.hubOpts = drive.Options{Binary: o.Binary, DataDir: filepath.Join(dir, "data")}
	if o.Engine == Postgres {
		fmt.Fprintln(o.Stderr, "Starting a throwaway Postgres …")
		if st.database, err = throwawayPostgres(ctx); err != nil {
			return nil, err
		}
		st.hubOpts.Env = append(st.hubOpts.Env, "DATABASE_URL="+st.database.url,
			"TENANT_POOL_SIZE=0") // all come at once, long before a pool could be filled
	}
	if st.hubOpts.Listen, err = drive.FreeAddr(); err != nil {
		return nil, err
	}
	if st.hub, err = drive.Start(ctx, st.hubOpts); err != nil {
		return nil, err
	}
	st.operator = drive.Operator{Email: "operator@demo.example", Password: rand.Text()}
	return st, st.hubOpts.CreateOperator(ctx, st.operator)
}

// stay waits for the end of ctx, or of the hub.
func (st *stage) stay(ctx context.Context, o Options) error {
	fmt.Fprintf(o.Stderr, "The hub stays at %s (operator %s, password %s) until you press Ctrl-C.\n", st.hub.URL, st.operator.Email, st.operator.Password)
	select {
	case <-ctx.Done():
		return nil
	case <-st.hub.Done():
		return fmt.Errorf("the hub ended by itself; its last words:\n%s", st.hub.Log())
	}
}

func (st *stage) tearDown() error {
	var errs []error
	if st.hub != nil {
		errs = append(errs, st.hub.Stop())
	}
	if st.database.stop != nil {
		errs = append(errs, st.database.stop())
	}
	if st.keep {
		fmt.Fprintf(st.stderr, "The data is kept in %s.\n", st.dir)
	} else {
		errs = append(errs, os.RemoveAll(st.dir))
	}
	return errors.Join(errs...)
}
