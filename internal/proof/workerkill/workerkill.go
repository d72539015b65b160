//go:build unix

// Package workerkill shows that what a killed hub was at is taken up by another.
//
// Two hubs share one Postgres, on which the tenants' databases are, too. Every request goes through the pipeline step by step, for seconds, so a
// hub is always in the middle of several. The two are killed in turn with kill -9, each time while the victim has requests in `migrating`; in the
// place of the dead one a hub starts that knows nothing of it (another data directory, as on another machine), so a restart cannot be what
// takes up the dead one's work. A kill waits until what the last but one left is taken up, so that a lease has time to end and its taker to
// begin; what the last one left still lies there, and much of what is met was taken up before.
//
// For each request that a victim had in `migrating`, the time is measured from the kill (when the process is gone) to the next sign of progress
// by somebody else: the hub's own table names another worker and a step that began after the kill, or says that the request is completed. The
// figure is the 99th percentile over all of these.
//
// In the end everybody must be ready, once: by the status link, by one tenant and one database each (pgkit's census), and by what the steps left
// in each database: every one of them had its effect exactly once.
//
// The planted bug (build tag sabotage) makes a lease last as long as River's own rescue would, an hour; then nobody takes anything up.
package workerkill

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/pgkit"
	"github.com/kitshub/kitshub/internal/proof/placekit"
	"github.com/kitshub/kitshub/internal/proof/progress"
)

// Result is the JSON line. Times are milliseconds.
type Result struct {
	check.Report
	TakeoverP50 int64 `json:"takeover_p50_ms"`
	TakeoverP99 int64 `json:"takeover_p99_ms"`
	TakeoverMax int64 `json:"takeover_max_ms"`
	Takeovers   int   `json:"takeovers"` // requests that a victim had in migrating, and that were taken up
	NotTaken    int   `json:"not_taken_up"`
	Retaken     int   `json:"retaken"` // of them, such as had been taken up before
	Hubs        int   `json:"hubs"`
	Acked       int   `json:"acked"`
	Completed   int   `json:"completed"`
	Lost        int   `json:"lost"`
	Duplicated  int   `json:"duplicated"`
	Verified    int   `json:"verified"`
	Orphans     int   `json:"orphans"`
}

const (
	hubs    = 2
	workers = 3 // of each hub
	plan    = "stepwise"

	takeoverWithin = 30 * time.Second // the promise
	giveUpAfter    = 60 * time.Second // what was not taken up by then is not

	// A victim must have so many requests in migrating; then it has a drawn while to live.
	leastHeld    = 2
	liveAtMost   = 600 * time.Millisecond
	betweenKills = 5 * time.Second // half of what a lease lasts, so that two kills overlap
	lookEvery    = 20 * time.Millisecond
	aimWithin    = 2 * time.Minute
	endWithin    = 3 * time.Minute
)

// effects take a few seconds in all: long enough to be met, short enough that a run ends.
var effects = &pgkit.Effects{Steps: 10, Seconds: 0.4}

type run struct {
	o     check.Options
	res   *Result
	world *pgkit.World
	slots [hubs]*slot
	lives int

	customers []*pgkit.Customer
	waiting   []*sample
	taken     []int64
	before    map[string]bool // requests that were taken up already
}

// slot is a place in which one hub after the other lives.
type slot struct {
	hub      *drive.Hub
	client   *drive.Client
	instance string // as the hub's own table names it
}

// sample is one request that a victim left in migrating.
type sample struct {
	request, victim string
	kill            int
	killed          time.Time
}

// Run kills o.N hubs.
func Run(ctx context.Context, o check.Options) (_ *Result, err error) {
	res := &Result{Hubs: hubs}
	res.Begin("worker-kill", o)
	if o.Engine != check.Postgres {
		return res, errors.New("several hubs on one database need Postgres")
	}
	w, err := pgkit.NewWorld(ctx, o, pgkit.Options{
		Plans: []pgkit.Plan{{ID: plan, Features: []string{pgkit.EffectsFeature}}}, Beside: []pgkit.Feature{effects.Feature()},
		Env: []string{"WORKERS=" + strconv.Itoa(workers), "TENANT_POOL_SIZE=0"},
	})
	defer func() { err = errors.Join(err, w.Close()) }()
	if err != nil {
		return res, err
	}
	r := &run{o: o, res: res, world: w, before: map[string]bool{}}
	for i := range r.slots {
		r.slots[i] = &slot{}
		w.Defer(r.slots[i].end)
		if err := r.start(ctx, r.slots[i]); err != nil {
			return res, err
		}
	}
	if err := r.kills(ctx); err != nil {
		return res, err
	}
	return res, r.judge(ctx)
}

func (s *slot) end() error {
	if s.hub == nil {
		return nil
	}
	s.client.Close()
	return s.hub.Kill()
}

// start puts a hub that nobody knows into the slot.
func (r *run) start(ctx context.Context, s *slot) (err error) {
	r.lives++
	home := strconv.Itoa(r.lives)
	if s.hub, err = r.world.Start(ctx, home); err != nil {
		return err
	}
	s.client = drive.NewClient(s.hub.URL, workers)
	b, err := os.ReadFile(filepath.Join(r.world.Options(home, "").DataDir, "home-id"))
	if err != nil {
		return err
	}
	err = r.world.Hub.QueryRowContext(ctx, `SELECT id FROM instances WHERE home = $1`, strings.TrimSpace(string(b))).Scan(&s.instance)
	if err != nil {
		return fmt.Errorf("find the hub among those that beat: %w", err)
	}
	return nil
}

func (r *run) kills(ctx context.Context) error {
	g := rand.New(rand.NewPCG(uint64(r.o.Seed), 3)) //nolint:gosec // the same seed shall give the same instants
	bar := progress.New(r.o.Log, "kill -9", r.o.N)
	defer bar.Close()
	for r.res.Done < r.o.N {
		begun := time.Now()
		victim := r.slots[r.res.Done%hubs]
		if err := r.aim(ctx, victim); err != nil {
			return err
		}
		if err := pgkit.Wait(ctx, time.Duration(g.Int64N(int64(liveAtMost)))); err != nil {
			return err
		}
		hit, err := r.kill(ctx, victim)
		if err != nil {
			return err
		}
		if err := r.start(ctx, victim); err != nil {
			return err
		}
		if hit { // one that met nothing shows nothing and does not count
			r.res.Done++
			bar.Add(1)
		}
		if err := r.watchUntil(ctx, begun.Add(betweenKills), r.lives-1); err != nil {
			return err
		}
		if r.res.NotTaken > 0 {
			return nil // it will not get better
		}
	}
	return r.watchUntil(ctx, time.Now(), r.lives)
}

// aim keeps the line filled until the victim has several requests in migrating.
func (r *run) aim(ctx context.Context, victim *slot) error {
	ctx, cancel := context.WithTimeout(ctx, aimWithin)
	defer cancel()
	for {
		held, err := r.heldBy(ctx, victim.instance)
		if err != nil {
			return err
		}
		if len(held) >= leastHeld {
			return nil
		}
		if err := r.fill(ctx); err != nil {
			return err
		}
		if err := r.watch(ctx); err != nil {
			return err
		}
		if err := pgkit.Wait(ctx, lookEvery); err != nil {
			return fmt.Errorf("the hub to be killed never came to have %d requests in migrating: %w", leastHeld, err)
		}
	}
}

// fill signs customers up at the hubs in turn while fewer wait than one hub can take.
func (r *run) fill(ctx context.Context) error {
	var waiting int
	if err := r.world.Hub.QueryRowContext(ctx, `SELECT count(*) FROM requests WHERE state = 'pending'`).Scan(&waiting); err != nil {
		return err
	}
	for ; waiting < workers; waiting++ {
		c, err := pgkit.SignUp(ctx, r.slots[len(r.customers)%hubs].client, plan, len(r.customers))
		if err != nil {
			return fmt.Errorf("sign up: %w", err)
		}
		r.customers = append(r.customers, c)
	}
	return nil
}

func (r *run) heldBy(ctx context.Context, instance string) ([]string, error) {
	return column(ctx, r.world.Hub, `SELECT id FROM requests WHERE state = 'migrating' AND worker = $1`, instance)
}

func column(ctx context.Context, db *sql.DB, query string, args ...any) (out []string, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// kill ends the victim and notes what it had in its hands.
func (r *run) kill(ctx context.Context, victim *slot) (hit bool, err error) {
	err = victim.hub.Kill()
	killed := time.Now()
	victim.client.Close()
	victim.hub = nil
	if err != nil {
		return false, err
	}
	held, err := r.heldBy(ctx, victim.instance)
	if err != nil {
		return false, err
	}
	for _, id := range held {
		r.waiting = append(r.waiting, &sample{id, victim.instance, r.lives, killed})
	}
	return len(held) > 0, nil
}

// watchUntil notes who is taken up, until then and until nobody is left whom a kill before that one left; who is not taken up at all is given up.
func (r *run) watchUntil(ctx context.Context, end time.Time, kill int) error {
	left := func() bool { return slices.ContainsFunc(r.waiting, func(s *sample) bool { return s.kill < kill }) }
	for time.Now().Before(end) || left() {
		if err := r.watch(ctx); err != nil {
			return err
		}
		if err := pgkit.Wait(ctx, lookEvery); err != nil {
			return err
		}
	}
	return nil
}

// watch looks once for progress by others with what victims left. A victim's own process is gone, so a step that began after the kill is another's.
func (r *run) watch(ctx context.Context) error {
	var left []*sample
	for _, s := range r.waiting {
		var goesOn bool
		err := r.world.Hub.QueryRowContext(ctx, `SELECT r.worker <> $2 AND (r.state = 'completed' OR r.worker <> '' AND EXISTS
			(SELECT FROM request_steps s WHERE s.request_id = r.id AND s.started_at > $3)) FROM requests r WHERE r.id = $1`,
			s.request, s.victim, s.killed.UTC().Format("2006-01-02T15:04:05.000000Z")).Scan(&goesOn)
		if err != nil {
			return fmt.Errorf("look at request %s: %w", s.request, err)
		}
		took := time.Since(s.killed)
		switch {
		case goesOn:
			r.taken = append(r.taken, took.Milliseconds())
			if r.before[s.request] {
				r.res.Retaken++
			}
			r.before[s.request] = true
		case took > giveUpAfter:
			r.res.NotTaken++
			r.res.Violate("request %s was in migrating when its hub was killed, and nobody has taken it up within %s", s.request, giveUpAfter)
			fmt.Fprintf(r.o.Log, "%s was killed at %s; since then: %s\n", s.victim, s.killed.UTC().Format(time.RFC3339Nano), r.history(ctx, s.request))
		default:
			left = append(left, s)
		}
	}
	r.waiting = left
	return nil
}

// history is what the hubs' own tables know of a request, for who has to find out why nobody took it up.
func (r *run) history(ctx context.Context, request string) string {
	var text string
	err := r.world.Hub.QueryRowContext(ctx, `SELECT concat_ws(E'\n', now()::text,
		(SELECT concat_ws(' ', 'request', state, worker, 'fence', fence, updated_at) FROM requests WHERE id = $1),
		(SELECT string_agg(concat_ws(' ', 'audit', at, action, detail), E'\n' ORDER BY id) FROM audit_entries WHERE target = $1),
		(SELECT string_agg(concat_ws(' ', 'step', name, status, started_at, finished_at), E'\n' ORDER BY seq) FROM request_steps WHERE request_id = $1),
		(SELECT string_agg(concat_ws(' ', 'job', id, state, attempt, queue, priority, created_at, scheduled_at, attempted_at, array_to_string(attempted_by, ','), errors), E'\n' ORDER BY id)
			FROM river_job WHERE args::text LIKE '%' || $1 || '%'),
		(SELECT string_agg(concat_ws(' ', 'hub', id, beat_at), E'\n') FROM instances))`, request).Scan(&text)
	if err != nil {
		return err.Error()
	}
	return text
}

// judge holds what was acknowledged against what is there.
func (r *run) judge(ctx context.Context) error {
	res := r.res
	res.Takeovers, res.Acked = len(r.taken), len(r.customers)
	slices.Sort(r.taken)
	res.TakeoverP50, res.TakeoverP99 = placekit.Percentile(r.taken, 50), placekit.Percentile(r.taken, 99)
	if len(r.taken) > 0 {
		res.TakeoverMax = r.taken[len(r.taken)-1]
	}
	if r.o.Strict && res.TakeoverP99 > takeoverWithin.Milliseconds() {
		res.Violate("the 99th percentile of takeovers is %d ms, more than %s", res.TakeoverP99, takeoverWithin)
	}
	if res.NotTaken > 0 {
		return nil
	}
	endCtx, cancel := context.WithTimeout(ctx, endWithin)
	defer cancel()
	census, err := r.world.Settle(endCtx)
	if err != nil {
		res.Violate("not everybody was ready in time: %v", err)
		return nil
	}
	if err := r.everyoneOnce(ctx); err != nil {
		return err
	}
	faults := census.Judge()
	res.Orphans = len(faults.Orphans)
	for _, f := range faults.All() {
		res.Violate("%s", f)
	}
	res.Duplicated += len(faults.Doubles)
	for _, s := range r.slots {
		if err := s.hub.Stop(); err != nil {
			res.Violate("%v", err)
		}
		s.hub = nil
	}
	return nil
}

// everyoneOnce looks at each customer with its own eyes.
func (r *run) everyoneOnce(ctx context.Context) error {
	res := r.res
	requests, err := column(ctx, r.world.Hub, `SELECT r.id FROM requests r JOIN customers c ON c.id = r.customer_id WHERE r.state <> 'cancelled'`)
	if err != nil {
		return err
	}
	for _, c := range r.customers {
		if !slices.Contains(requests, c.Request) {
			res.Lost++
			res.Violate("the acknowledged sign-up of %s, request %s, is lost", c.Email, c.Request)
		}
	}
	if more := len(requests) - len(r.customers); more > 0 {
		res.Duplicated += more
		res.Violate("there are %d requests of %d sign-ups", len(requests), len(r.customers))
	}
	given, shared := pgkit.RevealAll(ctx, r.slots[0].client, r.customers, &res.Report)
	res.Completed = len(given)
	res.Duplicated += shared
	want := effects.Times()
	pgkit.Each(given, workers, func(c *pgkit.Customer) {
		times, err := c.Effects(ctx)
		switch {
		case err != nil:
			res.Violate("the database of %s: %v", c.Email, err)
		case !maps.Equal(times, want):
			res.Violate("the steps of %s ran %v times", c.Email, times)
		}
	})
	res.Verified = r.world.VerifyAll(ctx, given, &res.Report)
	return nil
}
