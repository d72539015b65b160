package kill9

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/inspect"
	"github.com/kitshub/kitshub/internal/proof/progress"
)

// Result is the JSON line.
type Result struct {
	check.Report
	Acked         int            `json:"acked"`
	Lost          int            `json:"lost"`
	Duplicated    int            `json:"duplicated"`
	Completed     int            `json:"completed"`
	Orphans       int            `json:"orphans"`
	RestartMSMax  int64          `json:"restart_ms_max"`
	RestartMSP50  int64          `json:"restart_ms_p50"`
	InflightP50   int            `json:"inflight_p50"`
	KillsInFlight int            `json:"kills_in_flight"` // kills that left at least one call without an answer
	KillsByState  map[string]int `json:"kills_by_state"`  // kills with at least one request in that state
	Retried       int            `json:"retried_with_key"`
	Replayed      int            `json:"replayed"`
	Survived      int            `json:"unacked_but_there"`
	Verified      int            `json:"verified"`
	DrainMS       int64          `json:"drain_ms"` // from the last start until everybody was ready

	// Of a run on Postgres.
	KillsByHalf map[string]int `json:"kills_by_half_made,omitempty"` // kills after which something half made of that kind was on the cluster
	GoneMS      int64          `json:"leftovers_gone_ms,omitempty"`  // from the last start until nothing was left of what the last kill left
	SettledMS   int64          `json:"settled_ms,omitempty"`         // from the last start until all were ready and nothing was on the cluster that belongs to nobody
}

// What is asked of the kills themselves; fewer kills than enoughKills cannot be asked to meet every state.
const (
	enoughKills     = 50
	inFlightPercent = 90
)

// mustMeet are the states in which every request stands for a while on its way.
var mustMeet = []string{"pending", "in_progress", "credentials_received", "migrating", "completed"}

// Restarts slower than these are a violation where -strict is set.
var restartWithin = map[string]time.Duration{check.SQLite: 2 * time.Second, check.Postgres: 5 * time.Second}

// victim is the hub under test with what surrounds it.
type victim struct {
	drive.Site
	opts    drive.Options
	hub     *drive.Hub
	db      *database
	cluster *cluster // where hub and tenants are, on Postgres
}

// Run kills a hub o.N times.
func Run(ctx context.Context, o check.Options) (_ *Result, err error) {
	res := &Result{KillsByState: map[string]int{}, KillsByHalf: map[string]int{}}
	res.Begin("kill9", o)
	v, judge, err := prepare(ctx, o)
	defer func() { err = errors.Join(err, v.tearDown()) }()
	if judge != nil {
		defer func() { err = errors.Join(err, judge.Close()) }()
	}
	if err != nil {
		return res, err
	}
	l, err := v.startLoad(ctx, o, res)
	if err != nil {
		return res, err
	}
	err = v.kills(ctx, o, l, res)
	l.traffic.end()
	l.all.Wait()
	if err != nil {
		return res, err
	}
	if err := v.atRest(ctx, l, res); err != nil {
		return res, err
	}
	if err := v.judge(ctx, l, judge, res); err != nil {
		return res, err
	}
	res.demands(o)
	return res, nil
}

// atRest waits until everybody is ready and, on Postgres, what the last kill left is gone.
func (v *victim) atRest(ctx context.Context, l *load, res *Result) error {
	begun := time.Now()
	watch, stop := context.WithCancel(ctx)
	defer stop()
	watched := make(chan leftovers, 1)
	if v.cluster != nil {
		go func() { watched <- v.leftovers(watch) }()
	}
	err := v.drain(ctx, l, res)
	res.DrainMS = time.Since(begun).Milliseconds()
	if v.cluster == nil {
		return err
	}
	if err != nil {
		stop()
	}
	left := <-watched
	if err = errors.Join(err, left.err); err != nil {
		return err
	}
	res.GoneMS = left.took.Milliseconds()
	res.Orphans += len(left.kept)
	for _, f := range left.kept {
		res.Violate("%s after the last start: %s", goneWithin, f)
	}
	return v.settle(ctx, res)
}

// prepare makes the place, the catalog and, where wanted, the Postgres, and starts the hub for the first time.
func prepare(ctx context.Context, o check.Options) (v *victim, judge *inspect.Judge, err error) {
	v = &victim{}
	binary, remove, err := check.Kitshub(ctx, o)
	if err != nil {
		return v, nil, err
	}
	v.Site, err = drive.NewSite(binary, "kitshub-kill9-")
	v.Defer(remove)
	if err != nil {
		return v, nil, err
	}
	folder := v.Path("catalog")
	if err := writeCatalog(folder); err != nil {
		return v, nil, err
	}
	files, err := inspect.Read(os.DirFS(folder))
	if err != nil {
		return v, nil, err
	}
	listen, err := drive.FreeAddr()
	if err != nil {
		return v, nil, err
	}
	v.opts = v.Options("victim", listen, "CATALOG_DIR="+folder)
	v.db = &database{dir: v.Path("."), file: filepath.Join(v.opts.DataDir, "hub.db")}
	judge = inspect.NewJudge(files)
	if o.Engine == check.Postgres {
		v.cluster, err = newCluster(ctx, o.Log)
		if v.cluster != nil {
			v.Defer(v.cluster.close)
		}
		if err != nil {
			return v, nil, err
		}
		v.db.url = v.cluster.superHub
		v.opts.Env = append(v.opts.Env, "DATABASE_URL="+v.cluster.hub)
		judge = inspect.NewPostgresJudge(files, v.cluster.server)
	}
	v.hub, err = drive.Start(ctx, v.opts)
	return v, judge, err
}

func (v *victim) tearDown() error {
	var err error
	if v.hub != nil {
		err = v.hub.Kill()
	}
	return errors.Join(err, v.Close())
}

func (v *victim) startLoad(ctx context.Context, o check.Options, res *Result) (*load, error) {
	operator := drive.Operator{Email: "operator@proof.example", Password: rand.Text()}
	if err := v.opts.CreateOperator(ctx, operator); err != nil {
		return nil, err
	}
	l := &load{
		report: &res.Report, record: &record{survived: map[string]bool{}}, traffic: newTraffic(o.Engine), provider: o.Engine, seed: o.Seed,
		public: drive.NewClient(v.hub.URL, customersAtOnce), oper: drive.NewClient(v.hub.URL, operatorsAtOnce),
		plans:  []string{"starter", "starter", "basic", "professional", "enterprise", "enterprise", stepwise, stepwise},
		manual: map[string]bool{"enterprise": true}, claims: make(chan string, 1000),
	}
	if err := l.oper.Login(ctx, operator.Email, operator.Password); err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	l.traffic.open()
	l.start(ctx)
	return l, nil
}

// The instants of the kills: a ready hub has worked for a drawn while, or has just come to a drawn step of a stepwise customer; then a volley
// of calls begins, and a little later the hub dies. After every 25th kill the start itself is killed, too.
const (
	aimEvery     = 2
	aimAtCreate  = 4  // on Postgres, where making a database is several statements that no transaction covers
	fewKills     = 10 // so few are all aimed: chance alone would seldom find a gap between steps
	workAtMost   = 350 * time.Millisecond
	volleyAtMost = 15 * time.Millisecond
	startEvery   = 25
	startAtMost  = 150 * time.Millisecond
)

func (v *victim) kills(ctx context.Context, o check.Options, l *load, res *Result) error {
	r := mathrand.New(mathrand.NewPCG(uint64(o.Seed), 9)) //nolint:gosec // the same seed shall give the same instants
	bar := progress.New(o.Log, "kill -9", o.N)
	defer bar.Close()
	var inflight []int
	var restarts []int64
	for i := range o.N {
		if v.cluster != nil && i%aimAtCreate == 1 {
			if err := l.meetCreate(ctx, r, i); err != nil {
				return err
			}
		} else if i%aimEvery == 0 || o.N < fewKills {
			if err := l.meetBetweenSteps(ctx, r, i); err != nil {
				return err
			}
		} else if err := wait(ctx, time.Duration(r.Int64N(int64(workAtMost)))); err != nil {
			return err
		}
		lost, err := v.kill(ctx, l, r)
		if err != nil {
			return err
		}
		inflight = append(inflight, lost)
		if lost > 0 {
			res.KillsInFlight++
		}
		states, err := v.db.states(ctx)
		if err != nil {
			return fmt.Errorf("look at the dead hub's database: %w", err)
		}
		for s, n := range states {
			if n > 0 {
				res.KillsByState[s]++
			}
		}
		if v.cluster != nil {
			half, err := v.cluster.halfMade(ctx)
			if err != nil {
				return fmt.Errorf("look at the cluster of the dead hub: %w", err)
			}
			for kind := range half {
				res.KillsByHalf[kind]++
			}
		}
		if i%startEvery == startEvery-1 {
			v.killWhileStarting(ctx, time.Duration(r.Int64N(int64(startAtMost))))
		}
		if v.hub, err = drive.Start(ctx, v.opts); err != nil {
			res.Violate("after kill %d: %v", i+1, err)
			return err
		}
		restarts = append(restarts, v.hub.Ready.Milliseconds())
		l.traffic.open()
		res.Done++
		bar.Add(1)
	}
	res.InflightP50, res.RestartMSP50 = check.Median(inflight), check.Median(restarts)
	for _, ms := range restarts {
		res.RestartMSMax = max(res.RestartMSMax, ms)
	}
	return nil
}

// kill has everybody call at once, kills a little later, and says how many calls got no answer.
func (v *victim) kill(ctx context.Context, l *load, r *mathrand.Rand) (int, error) {
	l.traffic.volley()
	if err := wait(ctx, time.Duration(r.Int64N(int64(volleyAtMost)))); err != nil {
		return 0, err
	}
	l.traffic.shut()
	err := v.hub.Kill()
	return l.traffic.settle(), err
}

// killWhileStarting begins a start and kills it, ready or not.
func (v *victim) killWhileStarting(ctx context.Context, after time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, after)
	defer cancel()
	if hub, err := drive.Start(ctx, v.opts); err == nil { // was quicker; else Start itself has killed it
		_ = hub.Kill()
	}
}

// wait is a drawn instant, not a hope that something has happened by then.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// demands are those on the run itself: a kill that hit nothing proves nothing.
func (r *Result) demands(o check.Options) {
	if r.Done >= enoughKills {
		if 100*r.KillsInFlight < inFlightPercent*r.Done {
			r.Violate("only %d of %d kills left a call without an answer", r.KillsInFlight, r.Done)
		}
		for _, s := range mustMeet {
			if r.KillsByState[s] == 0 {
				r.Violate("no kill met a request that was %s", s)
			}
		}
	}
	if o.Engine == check.Postgres && r.Done >= enoughKills && len(r.KillsByHalf) == 0 {
		r.Violate("no kill left anything half made on the cluster, so none of them shows that it is cleaned up")
	}
	if r.Acked == 0 {
		r.Violate("no sign-up was acknowledged")
	}
	if most := restartWithin[o.Engine]; o.Strict && r.RestartMSMax > most.Milliseconds() {
		r.Violate("a restart took %d ms, more than %d", r.RestartMSMax, most.Milliseconds())
	}
}
