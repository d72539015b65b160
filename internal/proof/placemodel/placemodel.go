//go:build unix

// Package placemodel shows that every hub tells every customer the right place, whatever happens to the line and to the hubs.
//
// Three hubs on one Postgres get joins, claims, releases, cancels and changes of priority by HTTP, drawn from the seed, from many callers at
// once. Meanwhile hubs are killed with kill -9 and started again, and their connections that hear of changes are terminated. In between
// come quiet points: nobody calls, the reference model (a sorted list of what was acknowledged) is held against the database, and
// every hub is asked for places, which must be those of the model.
//
// A hub may lag, and says so: an answer is true as of its as_of. So at a quiet point a hub is asked until its answer speaks of the
// moment at which it became quiet, or of a later one; that answer must be exact. What a hub wrote itself it must know at once: at each quiet
// point one hub does a move alone, and is asked right after it. How long the others take to show it is measured (live_p95_ms).
//
// A call without an answer, or answered with 5xx, may have had its effect; its request is left alone until the next quiet point, where the
// database says what became of it. One claim-next in between runs alone and must give exactly the model's head.
//
// The planted bug is the index's own (build tag sabotage): somebody with a higher class ahead is told one place too few.
package placemodel

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/placekit"
	"github.com/kitshub/kitshub/internal/proof/progress"
)

// Result is the JSON line.
type Result struct {
	check.Report
	Hubs       int            `json:"hubs"`
	Wrong      int            `json:"wrong"`    // places
	WrongAt    [hubs]int      `json:"wrong_at"` // places, by hub
	Compared   int            `json:"compared"` // places
	Moves      map[string]int `json:"moves"`    // acknowledged
	Unanswered int            `json:"unanswered"`
	Refused    int            `json:"refused"` // by somebody else's move at the same time: none is expected
	Kills      int            `json:"kills"`
	Cut        int            `json:"listeners_cut"`
	Quiet      int            `json:"quiet_points"`
	Pending    int            `json:"pending_at_the_end"`
	LiveP95MS  float64        `json:"live_p95_ms"` // until the other hubs show a move
	CatchUpMax float64        `json:"catch_up_max_ms"`
	PerS       float64        `json:"moves_per_s"`
}

const (
	hubs        = 3
	callers     = 12
	leastPhase  = 60
	mostPhase   = 1000
	phasesAbout = 100
)

// run is one run.
type run struct {
	o     check.Options
	res   *Result
	world *placekit.World
	model *model
	hubs  [hubs]*target
	auth  drive.Header

	mu    sync.Mutex // guards res beside the report itself
	alone sync.RWMutex
	left  atomic.Int64 // moves to be begun in this phase
	next  atomic.Int64 // numbers customers
	live  []float64
	spent time.Duration // in phases
	since time.Time     // the last quiet point
}

// target is one hub, at the same address over all its lives.
type target struct {
	number int
	listen string
	hub    *drive.Hub
	client *drive.Client
	up     atomic.Bool
}

// Run makes o.N moves.
func Run(ctx context.Context, o check.Options) (_ *Result, err error) {
	res := &Result{Hubs: hubs, Moves: map[string]int{}}
	res.Begin("place-model", o)
	if o.Engine != check.Postgres {
		return res, errors.New("several hubs on one database need Postgres")
	}
	w, err := placekit.NewWorld(ctx, o)
	defer func() { err = errors.Join(err, w.Close()) }()
	if err != nil {
		return res, err
	}
	r := &run{o: o, res: res, world: w, model: newModel(), auth: drive.Bearer(w.Token)}
	for i := range r.hubs {
		listen, err := drive.FreeAddr()
		if err != nil {
			return res, err
		}
		t := &target{number: i, listen: listen, client: drive.NewClient("http://"+listen, callers)}
		r.hubs[i] = t
		w.Defer(func() error {
			t.client.Close()
			if t.hub == nil {
				return nil
			}
			return t.hub.Kill()
		})
		if err := r.start(ctx, t); err != nil {
			return res, err
		}
	}
	if err := r.phases(ctx); err != nil {
		return res, err
	}
	r.finish()
	return res, nil
}

func (r *run) start(ctx context.Context, t *target) error {
	hub, err := drive.Start(ctx, r.world.Options(t.number, t.listen))
	if err != nil {
		return fmt.Errorf("hub %d: %w", t.number, err)
	}
	t.hub = hub
	t.up.Store(true)
	return nil
}

// phases alternate moves and quiet points.
func (r *run) phases(ctx context.Context) error {
	each := min(mostPhase, max(leastPhase, r.o.N/phasesAbout))
	bar := progress.New(r.o.Log, "moves", r.o.N)
	defer bar.Close()
	// The first phase fills the line in peace.
	for phase := 0; r.res.Done < r.o.N; phase++ {
		before, wrong := r.res.Done, r.res.Wrong
		if err := r.phase(ctx, phase, each); err != nil {
			return err
		}
		if err := r.quiet(ctx, phase); err != nil {
			return fmt.Errorf("quiet point %d: %w", phase+1, err)
		}
		bar.Add(r.res.Done - before)
		if r.res.Wrong > wrong {
			fmt.Fprintf(r.o.Log, "phase %d (%s): %d wrong places, by hub so far %v\n", phase, faults[phase%len(faults)], r.res.Wrong-wrong, r.res.WrongAt)
		}
		if r.res.Violations > tooMany {
			return errors.New("so much is wrong that going on would show nothing more")
		}
		if r.res.Done == before {
			return errors.New("no move was acknowledged in a whole phase")
		}
	}
	return nil
}

// tooMany violations end a run.
const tooMany = 200

// phase makes moves from many callers, with a fault in the middle of most.
func (r *run) phase(ctx context.Context, phase, moves int) error {
	r.left.Store(int64(moves))
	half := make(chan struct{})
	var once sync.Once
	var all sync.WaitGroup
	for c := range callers {
		g := rand.New(rand.NewPCG(uint64(r.o.Seed), uint64(phase*callers+c))) //nolint:gosec // the same seed shall give the same moves
		all.Go(func() {
			for ctx.Err() == nil {
				left := r.left.Add(-1)
				if left < int64(moves/2) {
					once.Do(func() { close(half) })
				}
				if left < 0 {
					return
				}
				r.move(ctx, g)
			}
		})
	}
	begun := time.Now()
	<-half
	err := r.fault(ctx, phase)
	all.Wait()
	r.spent += time.Since(begun)
	return errors.Join(err, ctx.Err())
}

// faults names those that take turns.
var faults = [4]string{"no fault", "a kill", "listeners cut", "listeners cut and a kill"}

// fault makes the one whose turn it is.
func (r *run) fault(ctx context.Context, phase int) error {
	switch phase % len(faults) {
	case 1:
		t := r.hubs[phase/len(faults)%hubs]
		t.up.Store(false)
		if err := t.hub.Kill(); err != nil {
			return err
		}
		r.res.Kills++
		return r.start(ctx, t)
	case 2:
		return r.cutListeners(ctx)
	case 3:
		if err := r.cutListeners(ctx); err != nil {
			return err
		}
		t := r.hubs[phase/len(faults)%hubs]
		t.up.Store(false)
		r.res.Kills++
		return errors.Join(t.hub.Kill(), r.start(ctx, t))
	}
	return nil
}

// cutListeners terminates the connections on which hubs hear of changes. They are known by what they said last.
func (r *run) cutListeners(ctx context.Context) error {
	var n int
	err := r.world.DB.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE pid <> pg_backend_pid() AND (query LIKE 'LISTEN %' OR query LIKE '%json_build_object(''echo''%')`).Scan(&n)
	if err == nil && n == 0 {
		err = errors.New("no hub listens: the check does not know the hubs' way any more")
	}
	r.res.Cut += n
	return err
}
