//go:build unix

// Package orphans shows that a hub which is killed while it makes, hands over or drops databases and roles leaves nothing behind for good.
//
// No transaction covers CREATE DATABASE, the roles beside it and the hub's own rows, so a kill -9 leaves things half done; what counts is that
// they are found and finished, or removed. A hub is killed again and again, and started again on the same data. All the while customers come,
// some to a plan whose last check always fails, who then cancel, so that their databases are dropped; and each life of the hub is given another
// catalog and another size of the pool than the one before, so that the pool is made, handed out and thrown away all the time.
//
// Most kills are aimed: the server is watched (pg_stat_activity) until the hub does what is wanted, and a drawn instant later the hub is dead.
// The others come at random. After every other kill the check waits until the server has finished what it was told, and counts what lies there
// half done (gaps); after the rest the next hub starts at once, while the dead one's last statements may still run.
//
// In the end, the last hub has come to rest, more is broken on purpose, as a lost row or a hand on the cluster would: then
// `kitshub reconcile --dry-run` must name all of it and `kitshub reconcile --drop` mend it. pgkit's census, which shares no code with either,
// must find nothing then; and every customer who was acknowledged must have a database of their own that is as the catalog says.
//
// The planted bug (build tag sabotage): whoever drops a database leaves its roles.
package orphans

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/pgkit"
	"github.com/kitshub/kitshub/internal/proof/progress"
)

// Result is the JSON line. Times are milliseconds.
type Result struct {
	check.Report
	Orphans      int            `json:"orphans"`
	Ghosts       int            `json:"ghosts"`
	Doubles      int            `json:"doubles"`
	Before       int            `json:"before_reconcile"` // what the hub had not put right by itself when it had come to rest
	RestMS       int64          `json:"rest_ms"`          // from the last start until it had
	Planted      int            `json:"planted"`
	Reported     int            `json:"reported"` // by reconcile --dry-run
	KillsByAim   map[string]int `json:"kills_by_aim"`
	Gaps         map[string]int `json:"gaps"` // kills after which such a thing lay there half done
	Looked       int            `json:"looked"`
	Acked        int            `json:"acked"`
	Completed    int            `json:"completed"`
	Cancelled    int            `json:"cancelled"`
	Verified     int            `json:"verified"`
	RestartMSMax int64          `json:"restart_ms_max"`
	Unanswered   int            `json:"unanswered"` // sign-ups that were made again in the next life
}

const (
	restBase   = 3 * time.Minute
	restEach   = time.Second // for each customer's database that is still to be dropped or finished
	aimWithin  = 5 * time.Second
	lateAtMost = 8 * time.Millisecond // from what was aimed at to the kill
	lifeAtMost = 900 * time.Millisecond
	comeEvery  = 60 * time.Millisecond
	lookEvery  = 20 * time.Millisecond
	comeAtOnce = 4  // customers of one life who come at its start
	comeLater  = 10 // then one in so many turns: the line is not what is tried here
	poolAtMost = 3
	enough     = 50 // kills, from which on every aim and every gap must have been met
	home       = "one"
	good       = "good"
	faulty     = "faulty"
)

// refuses is a feature whose customers never get there: its check passes in the pool, and not in a tenant's database.
var refuses = pgkit.Feature{Name: "proof_refuses", Files: map[string]string{
	"0001_refuses.sql":   "CREATE TABLE proof_refuses (id TEXT PRIMARY KEY);\n",
	"check.postgres.sql": "SELECT 'this never passes' AS fault FROM kitshub_identity WHERE tenant_id LIKE 'ten%';\n",
	"check.sqlite.sql":   "SELECT 'this never passes' AS fault FROM kitshub_identity WHERE tenant_id LIKE 'ten%';\n",
}}

// catalogs are two that differ in what a plan holds, so that the pool of one is of no use to the other.
var catalogs = [2][]string{{"inventory"}, {"inventory", "pos"}}

func plans(features []string) []pgkit.Plan {
	return []pgkit.Plan{{ID: good, Features: features}, {ID: faulty, Features: []string{refuses.Name, "crm"}}}
}

type run struct {
	o     check.Options
	res   *Result
	world *pgkit.World
	hub   *drive.Hub
	life  int
	pool  int // how many members of each plan the hub that was started last shall hold
	rand  *rand.Rand

	customers []*pgkit.Customer
	again     []arrival // sign-ups without an answer
	next      int
}

// arrival is what a customer asks for; made again it must be the same.
type arrival struct {
	number   int
	plan     string
	features []string
}

// Run kills o.N times.
func Run(ctx context.Context, o check.Options) (_ *Result, err error) {
	res := &Result{KillsByAim: map[string]int{}, Gaps: map[string]int{}}
	res.Begin("orphans", o)
	if o.Engine != check.Postgres {
		return res, errors.New("only tenants on Postgres have roles and a server to leave things on; use -engine postgres")
	}
	w, err := pgkit.NewWorld(ctx, o, pgkit.Options{Plans: plans(catalogs[0]), Beside: []pgkit.Feature{refuses}})
	defer func() { err = errors.Join(err, w.Close()) }()
	if err != nil {
		return res, err
	}
	if err := pgkit.WriteCatalog(w.Path("catalog-1"), plans(catalogs[1]), []pgkit.Feature{refuses}); err != nil {
		return res, err
	}
	r := &run{o: o, res: res, world: w, rand: rand.New(rand.NewPCG(uint64(o.Seed), 5))} //nolint:gosec // the same seed shall give the same plan
	w.Defer(func() error {
		if r.hub == nil {
			return nil
		}
		return r.hub.Kill()
	})
	if err := r.kills(ctx); err != nil {
		return res, err
	}
	if err := r.rest(ctx); err != nil {
		return res, err
	}
	if err := r.reconcile(ctx); err != nil {
		return res, err
	}
	if err := r.judge(ctx); err != nil {
		return res, err
	}
	res.demands()
	return res, nil
}

// settings are those of the life that begins.
func (r *run) settings() []string {
	r.pool = 1 + r.rand.IntN(poolAtMost)
	env := []string{"TENANT_POOL_SIZE=" + strconv.Itoa(r.pool)}
	if r.catalog() == 1 {
		env = append(env, "CATALOG_DIR="+r.world.Path("catalog-1"))
	}
	return env
}

// catalog changes every second life, so that some lives find the pool as they need it.
func (r *run) catalog() int { return r.life / 2 % len(catalogs) }

func (r *run) start(ctx context.Context) (err error) {
	if r.hub, err = r.world.Start(ctx, home, r.settings()...); err != nil {
		return err
	}
	r.res.RestartMSMax = max(r.res.RestartMSMax, r.hub.Ready.Milliseconds())
	return nil
}

func (r *run) kills(ctx context.Context) error {
	bar := progress.New(r.o.Log, "kill -9", r.o.N)
	defer bar.Close()
	for r.res.Done < r.o.N {
		if err := r.start(ctx); err != nil {
			r.res.Violate("after kill %d: %v", r.res.Done, err)
			return err
		}
		if err := r.live(ctx); err != nil {
			return err
		}
		r.life++
		r.res.Done++
		bar.Add(1)
		if r.res.Done%2 == 0 {
			if err := r.lookForGaps(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// live is one life of the hub: customers come and cancel, until it is killed.
func (r *run) live(ctx context.Context) error {
	begun, err := r.clock(ctx)
	if err != nil {
		return err
	}
	lifeCtx, end := context.WithCancel(ctx)
	var load sync.WaitGroup
	load.Go(func() { r.load(lifeCtx) })
	met := random
	if a := aims[r.life%len(aims)]; a.pattern != "" {
		if met, err = r.aim(ctx, a, begun); err == nil {
			err = pgkit.Wait(ctx, time.Duration(r.rand.Int64N(int64(lateAtMost))))
		}
	} else {
		err = pgkit.Wait(ctx, time.Duration(r.rand.Int64N(int64(lifeAtMost))))
	}
	if err == nil {
		err = r.hub.Kill()
		r.hub = nil
		r.res.KillsByAim[met]++
	}
	end()
	load.Wait()
	return err
}

// load signs customers up and lets those cancel whose plan has failed them. A call without an answer is made again in the next life.
func (r *run) load(ctx context.Context) {
	client := drive.NewClient(r.hub.URL, 2)
	defer client.Close()
	for i := 0; ctx.Err() == nil; i++ {
		if len(r.again) > 0 || i < comeAtOnce || i%comeLater == 0 {
			r.come(ctx, client)
		}
		if err := r.cancelFailed(ctx, client); err != nil {
			return // the hub is dead
		}
		if err := pgkit.Wait(ctx, comeEvery); err != nil {
			return
		}
	}
}

func (r *run) come(ctx context.Context, client *drive.Client) {
	var a arrival
	if len(r.again) > 0 {
		a, r.again = r.again[0], r.again[1:]
	} else {
		a = arrival{r.next, good, catalogs[r.catalog()]}
		if r.next%3 == 2 {
			a.plan, a.features = faulty, []string{refuses.Name} // less than the plan has, so the pool is of no use to them
		}
		r.next++
	}
	c, err := pgkit.SignUpTo(ctx, client, a.plan, a.features, a.number)
	switch {
	case err == nil:
		r.customers = append(r.customers, c)
	case drive.CodeOf(err) == "" || drive.CodeOf(err) == "UNAVAILABLE":
		r.again = append(r.again, a)
		r.res.Unanswered++
	case drive.CodeOf(err) == "FEATURE_NOT_IN_PLAN": // the catalog has changed since it was asked first; so it was not made
	default:
		r.res.Violate("sign-up %d was refused: %v", a.number, err)
	}
}

// cancelFailed has every customer cancel who sees that the request has failed.
func (r *run) cancelFailed(ctx context.Context, client *drive.Client) error {
	for _, c := range r.customers {
		if c.Plan != faulty || c.Over {
			continue
		}
		s, err := client.Status(ctx, c.Token)
		if err != nil {
			return err
		}
		switch s.Status {
		case "cancelled":
			c.Over = true
		case "failed":
			if err := client.Cancel(ctx, c.Token); err != nil && drive.CodeOf(err) == "" {
				return err
			} // else it is looked at again
		}
	}
	return nil
}

// demands are those on the kills: one that hit nothing shows nothing.
func (r *Result) demands() {
	if r.Done < enough {
		return
	}
	for _, a := range aims {
		if r.KillsByAim[a.name] == 0 {
			r.Violate("no kill met the hub at this: %s", a.name)
		}
	}
	for _, g := range mustLeave {
		if r.Gaps[g] == 0 {
			r.Violate("no kill left this half done: %s", g)
		}
	}
	if r.Completed == 0 || r.Cancelled == 0 {
		r.Violate("%d customers were completed and %d cancelled: both must have been tried", r.Completed, r.Cancelled)
	}
}
