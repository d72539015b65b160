package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/kitshub/kitshub/internal/hub"
)

// Handler is what jobs and loops call. *hub.Service is one. Provision, Cleanup, RetryByItself and SendMail may be called again for work that is done, and
// are called again while they return an error.
type Handler interface {
	Provision(ctx context.Context, requestID string) error
	Cleanup(ctx context.Context, tenantID string) error
	RetryByItself(ctx context.Context, a hub.Again) error
	SendMail(ctx context.Context, id string, m hub.Mail) error
	Beat(ctx context.Context) error
	Reap(ctx context.Context) error
	Sweep(ctx context.Context) error
	Tidy(ctx context.Context) error
}

// Options say where the jobs are kept and who works them. One of SQLite and Postgres is set.
type Options struct {
	SQLite   *sql.DB       // the store's single writer connection, no other
	Postgres *pgxpool.Pool // River keeps one of its connections for LISTEN

	Workers  int    // pipelines at once; at least 1
	Instance string // names this hub in job rows and leader election; no two live hubs share one
	Log      *slog.Logger

	// Alive gives the hubs that beat lately, so that what a dead one held is free at once. Needed on Postgres only; without it such jobs wait
	// for River's own rescue (RescueAfter), except those of this instance.
	Alive func(ctx context.Context) ([]string, error)
}

// Times that shape the work.
const (
	provisionTimeout = 10 * time.Minute // no pipeline takes longer unless something hangs
	cleanupTimeout   = 5 * time.Minute
	retryTimeout     = time.Minute
	mailTimeout      = time.Minute
	rescueAfter      = provisionTimeout + time.Minute // above every timeout, else River would free jobs that still run

	sweepEvery  = 5 * time.Minute
	tidyTimeout = 5 * time.Minute // of one scan; it waits for nobody but servers

	keepDone      = time.Hour // completed jobs are worthless but for somebody who looks right now
	keepDiscarded = 7 * 24 * time.Hour

	fetchCooldown = 2 * time.Millisecond // River's default of 100 ms gave 150 jobs a second
)

// The queues. Each has its own workers, so that a mail server that hangs holds up no pipeline.
const (
	queueProvision = "provision"
	queueCleanup   = "cleanup"
	queueRetry     = "retry"
	queueMail      = "mail"

	cleanupWorkers = 2
	mailWorkers    = 2
)

// Client enqueues and works jobs. It implements hub.Jobs. Enqueueing needs neither a handler nor Start.
type Client struct {
	opt    Options
	log    *slog.Logger
	engine engine
	tuning tuning

	mu      sync.Mutex // guards what Start and Stop change
	handler Handler
	started bool
	loops   []*loop
}

// tuning is what only the tests change.
type tuning struct {
	// How often each queue looks for jobs that nobody announced: another process's on SQLite, retries that are due.
	pollProvision, pollRest time.Duration
	retry                   retryPolicy
	// How long a stop lets what runs finish, and how long the workers have after that to notice that their context ended and to give back their
	// leases, which takes two seconds at most.
	drain, grace time.Duration
}

var inUse = tuning{pollProvision: time.Second, pollRest: 5 * time.Second, retry: pauses, drain: 6 * time.Second, grace: 3 * time.Second}

// New makes a client. It touches no database.
func New(opt Options) (*Client, error) { return newClient(opt, inUse) }

func newClient(opt Options, t tuning) (*Client, error) {
	switch {
	case (opt.SQLite == nil) == (opt.Postgres == nil):
		return nil, errors.New("jobs: give SQLite or Postgres, and one of them only")
	case opt.Workers < 1:
		return nil, fmt.Errorf("jobs: %d workers", opt.Workers)
	case opt.Instance == "":
		return nil, errors.New("jobs: an instance name is needed")
	case opt.Log == nil:
		return nil, errors.New("jobs: a logger is needed")
	}
	c := &Client{opt: opt, log: opt.Log, tuning: t}
	var err error
	if opt.SQLite != nil {
		c.engine, err = newSQLite(c)
	} else {
		c.engine, err = newPostgres(c)
	}
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	return c, nil
}

// SetHandler says who does the work; it is called once before Start. (The hub needs the client to be made, and the client the hub to work.)
func (c *Client) SetHandler(h Handler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handler = h
}

func (c *Client) handle() Handler {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.handler
}

// Migrate brings River's own tables to the version that this program needs. On Postgres several hubs may call it at once: call it under the
// lock that guards the store's migrations.
func (c *Client) Migrate(ctx context.Context) error {
	if err := c.engine.migrate(ctx); err != nil {
		return fmt.Errorf("migrating River's tables: %w", err)
	}
	return nil
}

// Start says that this hub lives, takes up what dead ones left, and begins to work. It has beaten and reaped once when it returns. ctx is
// for starting only; what was started ends with Stop, after which Start may be called again.
func (c *Client) Start(ctx context.Context) error {
	c.mu.Lock()
	h, started := c.handler, c.started
	c.mu.Unlock()
	if started {
		return errors.New("jobs: already started")
	}
	if h == nil {
		return errors.New("jobs: SetHandler comes before Start")
	}
	if err := h.Beat(ctx); err != nil {
		return fmt.Errorf("the first heartbeat: %w", err)
	}
	if err := h.Reap(ctx); err != nil { // the loop tries again in two seconds; starting is worth more than this
		c.log.WarnContext(ctx, "dead hubs could not be looked for", "error", err)
	}
	if err := c.engine.reclaim(ctx); err != nil {
		return fmt.Errorf("freeing the jobs of a former process: %w", err)
	}
	running := context.WithoutCancel(ctx)
	if err := c.engine.start(running); err != nil {
		return fmt.Errorf("starting River: %w", err)
	}
	loops := []*loop{
		{name: "beat", every: hub.BeatEvery, timeout: 2 * hub.BeatEvery, log: c.log, run: h.Beat},
		{name: "reap", every: hub.ReapEvery, timeout: 30 * time.Second, log: c.log, run: func(ctx context.Context) error {
			return errors.Join(h.Reap(ctx), c.engine.rescue(ctx))
		}},
		{name: "sweep", every: sweepEvery, timeout: time.Minute, log: c.log, run: h.Sweep},
		{name: "tidy", every: hub.TidyEvery, timeout: tidyTimeout, log: c.log, run: h.Tidy},
	}
	for _, l := range loops {
		l.start(running)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loops, c.started = loops, true
	return nil
}

// Stop takes no new jobs, lets those that run finish for a while, then ends their contexts: River gives them back untried. The heartbeat
// goes on until they are done, so that no other hub takes them up meanwhile. An error says that some worker did not end; it is safe to exit.
func (c *Client) Stop(ctx context.Context) error {
	c.mu.Lock()
	started, loops := c.started, c.loops
	c.started, c.loops = false, nil
	c.mu.Unlock()
	if !started {
		return nil
	}
	err := c.engine.stop(ctx)
	for _, l := range loops {
		l.stop()
	}
	if err != nil {
		return fmt.Errorf("stopping River: %w", err)
	}
	return nil
}

// config is what both engines' clients have in common.
func (c *Client) config() *river.Config {
	workers := river.NewWorkers()
	river.AddWorker(workers, &provisionWorker{client: c})
	river.AddWorker(workers, &cleanupWorker{client: c})
	river.AddWorker(workers, &retryWorker{client: c})
	river.AddWorker(workers, &mailWorker{client: c})
	return &river.Config{
		ID:                          c.opt.Instance,
		Workers:                     workers,
		FetchCooldown:               fetchCooldown,
		FetchPollInterval:           c.tuning.pollRest,
		JobTimeout:                  mailTimeout, // each kind says its own
		RescueStuckJobsAfter:        rescueAfter,
		CompletedJobRetentionPeriod: keepDone,
		CancelledJobRetentionPeriod: keepDiscarded,
		DiscardedJobRetentionPeriod: keepDiscarded,
		RetryPolicy:                 c.tuning.retry,
		ErrorHandler:                failures{c.log},
		Logger:                      slog.New(onlyWarnings{c.log.Handler()}),
		Hooks:                       []rivertype.Hook{&inLine{}},
		Queues: map[string]river.QueueConfig{
			queueProvision: {MaxWorkers: c.opt.Workers, FetchPollInterval: c.tuning.pollProvision},
			queueCleanup:   {MaxWorkers: cleanupWorkers},
			queueRetry:     {MaxWorkers: max(2, c.opt.Workers/2)},
			queueMail:      {MaxWorkers: mailWorkers},
		},
	}
}

// insertConfig is for the client that only enqueues: no queues, so nothing runs.
func (c *Client) insertConfig() *river.Config {
	cfg := c.config()
	cfg.Queues = nil
	return cfg
}
