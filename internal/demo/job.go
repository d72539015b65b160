package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/inspect"
	"github.com/kitshub/kitshub/internal/proof/progress"
)

// How many of each kind of call are under way at once: enough to keep the hub busy, few enough to leave it the machine.
const (
	signingUp  = 8
	operating  = 2
	watching   = 16
	inspecting = 2
)

// mainJob takes all customers through.
type mainJob struct {
	judge     *inspect.Judge
	hubsOwn   string          // the hub's own database, where tenants' are on the same server
	operated  map[string]bool // plans that want an operator
	public    *drive.Client
	operator  *drive.Client
	customers []*customer
	pid       int
	engine    string
	seed      int64
	peak      float64 // MB the hub held at the most

	neighbour atomic.Pointer[string] // the database that was verified last, on Postgres

	signUps, watches, operators, inspections chan struct{}
	bar                                      *progress.Bar
}

// customer is one sign-up with what came of it.
type customer struct {
	drive.SignUp
	place     *drive.SignedUp
	completed bool
	failed    bool
	verified  bool
	took      time.Duration
	trouble   error
}

func newMain(ctx context.Context, o Options, st *stage, files *inspect.Catalog) (*mainJob, error) {
	m := &mainJob{
		judge: st.judge(files), hubsOwn: st.database.name, operated: map[string]bool{}, pid: st.hub.PID(), engine: o.Engine, seed: o.Seed,
		public: drive.NewClient(st.hub.URL, signingUp+watching), operator: drive.NewClient(st.hub.URL, operating),
		signUps: make(chan struct{}, signingUp), watches: make(chan struct{}, watching),
		operators: make(chan struct{}, operating), inspections: make(chan struct{}, inspecting),
	}
	for _, p := range files.Plans {
		m.operated[p.ID] = p.ByOperator()
	}
	for _, s := range customers(o.Customers, o.Seed, files.Plans) {
		m.customers = append(m.customers, &customer{SignUp: s})
	}
	if err := m.operator.Login(ctx, st.operator.Email, st.operator.Password); err != nil {
		return nil, fmt.Errorf("log in as the operator: %w", err)
	}
	m.bar = progress.New(o.Stderr, "verified", o.Customers)
	return m, nil
}

// run takes every customer through side by side; what goes wrong for one stops no other.
func (m *mainJob) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, c := range m.customers {
		m.signUps <- struct{}{} // in order, so that the line is the seed's
		all.Go(func() {
			c.trouble = m.one(ctx, c)
			m.bar.Add(1)
		})
	}
	all.Wait()
	m.peak = peakRSS(m.pid)
	m.bar.Close()
	m.public.Close()
	m.operator.Close()
}

// one is a customer's whole way.
func (m *mainJob) one(ctx context.Context, c *customer) (err error) {
	begun := time.Now()
	c.place, err = m.public.SignUp(ctx, c.SignUp, "")
	<-m.signUps
	if err != nil {
		return fmt.Errorf("sign up: %w", err)
	}
	if m.operated[c.Plan] {
		if err := m.operate(ctx, c.place.Request.ID); err != nil {
			return fmt.Errorf("play the operator: %w", err)
		}
	}
	status, err := m.await(ctx, c.place.StatusToken)
	if err != nil {
		return fmt.Errorf("wait until it is ready: %w", err)
	}
	if c.failed = status.Status == "failed"; c.failed || status.Status != "completed" {
		return fmt.Errorf("the request is %s: %s", status.Status, status.Reason)
	}
	c.completed = true
	at, ok := status.ReadyAt()
	if !ok {
		return errors.New("it is completed, but no step says when it ended")
	}
	c.took = at.Sub(begun)
	return m.verify(ctx, c)
}

// operate does what an operator does for a plan that wants one.
func (m *mainJob) operate(ctx context.Context, id string) error {
	m.operators <- struct{}{}
	defer func() { <-m.operators }()
	if _, err := m.operator.Move(ctx, id, "claim"); err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	if err := m.operator.Give(ctx, id, m.engine); err != nil {
		return fmt.Errorf("credentials: %w", err)
	}
	return nil
}

func (m *mainJob) await(ctx context.Context, token string) (*drive.Status, error) {
	m.watches <- struct{}{}
	defer func() { <-m.watches }()
	return m.public.Await(ctx, token, (*drive.Status).Ended)
}

// verify opens the customer's database as the customer would and compares it with the catalog.
func (m *mainJob) verify(ctx context.Context, c *customer) error {
	m.inspections <- struct{}{}
	defer func() { <-m.inspections }()
	conn, err := m.public.Reveal(ctx, c.place.StatusToken)
	if err != nil {
		return fmt.Errorf("ask for the connection details: %w", err)
	}
	place, err := conn.Place()
	if err != nil {
		return err
	}
	wrong, err := m.judge.Tenant(ctx, place, c.wanted(m))
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("the database is not what the catalog says in %d points, first: %s", len(wrong), wrong[0])
	}
	seals, err := inspect.Effects(ctx, place, `SELECT tenant_id || ' ' || length(mac), '' FROM kitshub_identity`)
	if err != nil {
		return fmt.Errorf("read the database's seal: %w", err)
	}
	if want := conn.Env["KITSHUB_TENANT"] + " 64"; len(seals) != 1 || seals[want] != 1 {
		return fmt.Errorf("the database's seal says %v and not once %s", seals, want)
	}
	if m.engine == Postgres {
		if err := m.keptOut(ctx, place, conn.Env["PGDATABASE"]); err != nil {
			return err
		}
	}
	c.verified = true
	return nil
}

// keptOut tries the customer's login on the database of the customer before, and on the hub's own.
func (m *mainJob) keptOut(ctx context.Context, place, own string) error {
	if err := inspect.Refused(ctx, place, m.hubsOwn); err != nil {
		return err
	}
	if before := m.neighbour.Swap(&own); before != nil {
		return inspect.Refused(ctx, place, *before)
	}
	return nil
}

// wanted is what the customer asked for, not what the hub says it understood.
func (c *customer) wanted(m *mainJob) []string {
	if c.Features != nil {
		return c.Features
	}
	return m.judge.PlanFeatures(c.Plan)
}

func (m *mainJob) result() Result {
	r := Result{Customers: len(m.customers), Engine: m.engine, Seed: m.seed, PeakRSSMB: m.peak}
	var took []time.Duration
	for _, c := range m.customers {
		if c.completed {
			r.Completed++
			took = append(took, c.took)
		}
		if c.failed {
			r.Failed++
		}
		if c.verified {
			r.Verified++
		}
	}
	slices.Sort(took)
	r.TimeToReady = Spread{quantile(took, 50).Milliseconds(), quantile(took, 99).Milliseconds()}
	return r
}

// quantile is the nearest rank of sorted durations.
func quantile(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, (len(sorted)*percent+99)/100-1)]
}

// troubles lists what went wrong, the first few: one cause often hits all.
func (m *mainJob) troubles() []string {
	const shown = 5
	var out []string
	n := 0
	for _, c := range m.customers {
		if c.trouble == nil {
			continue
		}
		if n++; n <= shown {
			out = append(out, fmt.Sprintf("%s (%s): %v", c.Email, c.Plan, c.trouble))
		}
	}
	if n > shown {
		out = append(out, fmt.Sprintf("… and %d more", n-shown))
	}
	return out
}
