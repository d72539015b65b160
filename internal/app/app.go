package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/kitshub/kitshub/internal/config"
	"github.com/kitshub/kitshub/internal/events"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/web"
)

// App is a serving hub.
type App struct {
	*Core
	Version string

	lock    *flock.Flock
	bridge  *events.Bridge // Postgres only
	feed    *events.Feed   // Postgres only
	keeping sync.WaitGroup
	endLine context.CancelFunc
	endPool context.CancelFunc
	handler http.Handler
	streams *web.Streams
	endAll  context.CancelFunc // of the streams
}

// How long the parts may take. A stream is open for as long as its client likes, so writes are bounded per write by the stream itself.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	drainTime         = 9 * time.Second // with leaveTime a stop ends within the promised ten seconds
	leaveTime         = time.Second
	maxHeaderBytes    = 64 << 10
)

// ErrInUse says that another hub serves from the same data directory.
var ErrInUse = errors.New("another hub is running on this data directory")

// New opens everything a serving hub needs. Only one hub serves from a data directory.
func New(ctx context.Context, cfg *config.Config, log *slog.Logger, version string) (a *App, err error) {
	lock, err := lockHome(cfg)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Unlock())
		}
	}()
	core, err := OpenCore(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	a = &App{Core: core, Version: version, lock: lock}
	streams, endAll := context.WithCancel(context.WithoutCancel(ctx))
	a.streams, a.endAll = web.NewStreams(streams, core.Service, log), endAll
	if pool := core.Store.Pool(); pool != nil {
		a.bridge = events.NewBridge(core.events, pool, log)
		a.feed = events.NewFeed(pool, core.Service, log)
	}
	a.Metrics.SetVersion(version)
	a.Metrics.SetQueueDepth(core.Service.Depth)
	a.Metrics.SetPoolDepths(core.Service.PoolDepths)
	a.handler = a.routes()
	return a, nil
}

func lockHome(cfg *config.Config) (*flock.Flock, error) {
	if err := makeDataDir(cfg); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(cfg.DataDir, "kitshub.lock"))
	got, err := lock.TryLock()
	if err != nil {
		return nil, &ConfigError{"DATA_DIR", "the directory cannot be locked", err}
	}
	if !got {
		return nil, fmt.Errorf("%w (%s); stop it, or give this one a DATA_DIR of its own", ErrInUse, cfg.DataDir)
	}
	return lock, nil
}

// Handler serves everything, for tests without a listener.
func (a *App) Handler() http.Handler { return a.handler }

// Listening is told once the hub answers: where, and the one-time link for the first operator or "".
type Listening func(addr net.Addr, setupLink string)

// Run serves until ctx ends, then finishes what is in flight. It may be called once; it closes everything.
func (a *App) Run(ctx context.Context, told Listening) (err error) {
	defer func() { err = errors.Join(err, a.Close()) }()
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.Config.ListenAddr)
	if err != nil {
		return &ConfigError{"LISTEN_ADDR", "the hub cannot listen there", err}
	}
	if a.Config.PublicURLDerived {
		a.Service.SetPublicURL(config.URLFor(ln.Addr().String()))
	}
	if err := a.start(ctx); err != nil {
		return errors.Join(err, ln.Close())
	}
	setup, err := a.Service.SetupLink(ctx)
	if err != nil {
		return errors.Join(err, a.stop(ctx), ln.Close())
	}
	servers := []*http.Server{a.server(a.handler)}
	failed := make(chan error, 2)
	go func() { failed <- servers[0].Serve(ln) }()
	if a.Config.MetricsAddr != "" {
		mln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.Config.MetricsAddr)
		if err != nil {
			return errors.Join(&ConfigError{"METRICS_ADDR", "the hub cannot listen there", err}, servers[0].Close(), a.stop(ctx))
		}
		m := a.server(a.metricsAlone())
		servers = append(servers, m)
		go func() { failed <- m.Serve(mln) }()
	}
	told(ln.Addr(), setup)
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("serving: %w", err)
	}
	a.Log.Info("stopping: finishing what is in flight")
	a.endAll() // event streams end; their clients come back by Last-Event-ID
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	work := make(chan error, 1)
	go func() { work <- a.endWork(drain) }() // beside the calls: a client that dawdles must not use up the time of the jobs
	for _, s := range servers {
		if serr := s.Shutdown(drain); serr != nil {
			a.Log.Warn("calls that did not end in time were cut off", "waited", drainTime.String(), "error", serr)
			err = errors.Join(err, s.Close())
		}
	}
	err = errors.Join(err, a.streams.Wait(drain)) // the servers do not know their connections any more
	err = errors.Join(err, <-work)
	a.leave(drain)
	return err
}

func (a *App) start(ctx context.Context) error {
	if a.bridge != nil {
		if err := a.bridge.Start(ctx); err != nil {
			return err
		}
	}
	if a.feed != nil {
		a.feed.Start(ctx)
	}
	line, end := context.WithCancel(context.WithoutCancel(ctx))
	a.endLine = end
	a.keeping.Go(func() { a.Service.KeepLine(line, a.feed != nil) })
	if a.Clusters != nil {
		a.keeping.Go(func() { a.examineClusters(line) })
		a.keeping.Go(func() { a.Clusters.Watch(line) })
	}
	if err := a.Jobs.Start(context.WithoutCancel(ctx)); err != nil { // stopped in order by stop, not torn down by ctx
		return err
	}
	pool, end := context.WithCancel(context.WithoutCancel(ctx))
	a.endPool = end
	a.keeping.Go(func() { a.Service.KeepPool(pool) }) // after the first heartbeat, so that its members are a living hub's
	return nil
}

func (a *App) stop(ctx context.Context) error {
	err := a.endWork(ctx)
	a.leave(ctx)
	return err
}

// endWork lets what runs finish and takes up nothing new. Calls may still come in and leave jobs for the next start.
func (a *App) endWork(ctx context.Context) error {
	a.endPool() // what no customer waits for ends first
	err := a.Jobs.Stop(ctx)
	a.Log.Info("no job runs any more")
	return err
}

// leave ends what calls and jobs stand on, and this hub's membership.
func (a *App) leave(ctx context.Context) {
	if a.bridge != nil {
		a.bridge.Stop()
	}
	if a.feed != nil {
		a.feed.Stop()
	}
	a.endLine()
	a.keeping.Wait()
	leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	if err := a.Service.Leave(leave); err != nil {
		a.Log.Warn("this hub could not sign off; the others bury it when its heartbeat is ten seconds old", "error", err)
	}
}

// Close ends what New opened, for an App that is not Run.
func (a *App) Close() error {
	a.endAll()
	return errors.Join(a.Core.Close(), a.lock.Unlock())
}

func (a *App) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(a.Log.Handler(), slog.LevelWarn),
	}
}

var _ hub.Events = (*events.Bus)(nil)
