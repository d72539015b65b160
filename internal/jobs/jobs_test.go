package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// A job exists exactly if the rows of its transaction do.
func TestEnqueueIsPartOfTheTransaction(t *testing.T) {
	onEngines(t, func(t *testing.T, r *rig) {
		c := newTest(t, r.options("a"), quick, &worker{})
		enqueue := map[string]func(ctx context.Context, tx hub.Tx) error{
			"provision": func(ctx context.Context, tx hub.Tx) error { return c.EnqueueProvision(ctx, tx, key(1)) },
			"cleanup":   func(ctx context.Context, tx hub.Tx) error { return c.EnqueueCleanup(ctx, tx, "ten_1") },
			"mail": func(ctx context.Context, tx hub.Tx) error {
				return c.EnqueueMail(ctx, tx, hub.Mail{Kind: hub.MailReady, RequestID: "req_1"})
			},
			"retry": func(ctx context.Context, tx hub.Tx) error {
				return c.EnqueueRetry(ctx, tx, hub.Again{RequestID: "req_1", Fence: 1, At: time.Now()})
			},
		}
		for kind, fn := range enqueue {
			state := map[bool]string{true: "scheduled", false: "available"}[kind == "retry"]
			jobs := fmt.Sprintf("SELECT count(*) FROM river_job WHERE kind = '%s' AND state = '%s'", kind, state)
			things := fmt.Sprintf("SELECT count(*) FROM thing WHERE id = '%s'", kind)
			for _, keep := range []bool{false, true} {
				s := r.begin(t.Context(), t)
				_, err := s.tx.ExecContext(t.Context(), "INSERT INTO thing (id) VALUES ($1)", kind)
				noError(t, err)
				noError(t, fn(t.Context(), &unit{s}))
				want := 0
				if keep {
					want = 1
					noError(t, s.tx.Commit())
				} else {
					noError(t, s.tx.Rollback())
				}
				s.close(t)
				if j, n := r.count(t, jobs), r.count(t, things); j != want || n != want {
					t.Errorf("%s, committed %v: %d jobs and %d rows, want %d of each", kind, keep, j, n, want)
				}
			}
		}
	})
}

// database/sql ends a transaction by itself when its context ends; a job must not slip in after that and commit alone.
func TestEnqueueAfterTheTransactionEnded(t *testing.T) {
	onEngines(t, func(t *testing.T, r *rig) {
		c := newTest(t, r.options("a"), quick, &worker{})
		s := r.begin(t.Context(), t)
		noError(t, s.tx.Rollback())
		if err := c.EnqueueCleanup(t.Context(), s, "ten_1"); err == nil {
			t.Error("a job was enqueued in a transaction that is over")
		}
		s.close(t)
		if n := r.count(t, "SELECT count(*) FROM river_job"); n != 0 {
			t.Errorf("%d jobs", n)
		}
	})
}

// The line's order: priority descending, then enqueue time, whenever and in whatever order the jobs came.
func TestProvisionInTheOrderOfTheLine(t *testing.T) {
	onEngines(t, func(t *testing.T, r *rig) {
		ran := make(chan string, 100)
		c := newTest(t, r.options("a"), quick, &worker{provision: func(_ context.Context, id string) error {
			ran <- id
			return nil
		}})
		now := time.Now()
		line := []hub.LineKey{
			{Priority: 2, EnqueuedAt: now.Add(-time.Hour), ID: "urgent, an hour ago"},
			{Priority: 2, EnqueuedAt: now, ID: "urgent, now"},
			{Priority: 1, EnqueuedAt: now.Add(-48 * time.Hour), ID: "high, two days ago"},
			{Priority: 1, EnqueuedAt: now.Add(-47 * time.Hour), ID: "high, later"},
			{Priority: 0, EnqueuedAt: now.Add(-72 * time.Hour), ID: "normal, three days ago"},
			{Priority: 0, EnqueuedAt: now.Add(-3 * time.Millisecond), ID: "normal, just before now"},
			{Priority: 0, EnqueuedAt: now, ID: "normal, now"},
		}
		var want []string
		for _, k := range line {
			want = append(want, k.ID)
		}
		for _, i := range []int{6, 3, 0, 4, 2, 5, 1} {
			r.commit(t, func(tx hub.Tx) { noError(t, c.EnqueueProvision(t.Context(), tx, line[i])) })
		}
		start(t, c)
		var got []string
		for range line {
			got = append(got, receive(t, ran, "the next in line"))
		}
		if !slices.Equal(got, want) {
			t.Errorf("ran in the order\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// Nothing here polls: every job is found because its own transaction announced it, also when many commit at once.
func TestEveryCommitWakesAWorker(t *testing.T) {
	onEngines(t, func(t *testing.T, r *rig) {
		const writers, each = 8, 25
		ran := make(chan string, writers*each*3)
		o := r.options("a")
		o.Workers = 4
		silent := quick
		silent.pollProvision, silent.pollRest = time.Hour, time.Hour
		c := newTest(t, o, silent, &worker{
			provision: func(_ context.Context, id string) error { ran <- id; return nil },
			cleanup:   func(_ context.Context, id string) error { ran <- id; return nil },
			mail:      func(_ context.Context, id string, _ hub.Mail) error { ran <- id; return nil },
		})
		start(t, c)
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					r.commit(t, func(tx hub.Tx) {
						noError(t, c.EnqueueProvision(t.Context(), tx, key(w*each+i)))
						noError(t, c.EnqueueCleanup(t.Context(), tx, fmt.Sprint("ten_", w, "_", i)))
						noError(t, c.EnqueueMail(t.Context(), tx, hub.Mail{Kind: hub.MailReady}))
					})
				}
			})
		}
		seen := map[string]int{}
		for range writers * each * 3 {
			seen[receive(t, ran, "a job")]++
		}
		wg.Wait()
		if len(seen) != writers*each*3 {
			t.Errorf("%d different jobs ran, want %d", len(seen), writers*each*3)
		}
	})
}

// What fails is tried again until it succeeds, a panic included, with the same arguments; the log says why.
func TestFailuresAreTriedAgain(t *testing.T) {
	onEngines(t, func(t *testing.T, r *rig) {
		var log book
		o := r.options("a")
		o.Log = log.logger()
		var tries atomic.Int32
		type sent struct {
			id string
			m  hub.Mail
		}
		mails := make(chan sent, 10)
		c := newTest(t, o, polling(quick), &worker{mail: func(_ context.Context, id string, m hub.Mail) error {
			mails <- sent{id, m}
			switch tries.Add(1) {
			case 1:
				return errors.New("the mail server is down")
			case 2:
				panic("a bug in the mailer")
			}
			return nil
		}})
		start(t, c)
		r.commit(t, func(tx hub.Tx) {
			noError(t, c.EnqueueMail(t.Context(), tx, hub.Mail{Kind: hub.MailLink, RequestID: "req_7"}))
		})
		first := receive(t, mails, "the first try")
		for _, which := range []string{"second", "third"} {
			if again := receive(t, mails, "the "+which+" try"); again != first {
				t.Errorf("the %s try was for %v, the first for %v", which, again, first)
			}
		}
		if want := (hub.Mail{Kind: hub.MailLink, RequestID: "req_7"}); first.m != want || !strings.HasPrefix(first.id, "mail_") {
			t.Errorf("tried %+v", first)
		}
		text := log.String()
		for _, want := range []string{"the mail server is down", "a bug in the mailer", "jobs_test.go", "req_7"} {
			if !strings.Contains(text, want) {
				t.Errorf("the log does not say %q:\n%s", want, text)
			}
		}
		if strings.Contains(text, "River client") || strings.Contains(text, "level=INFO") {
			t.Errorf("River talks about itself:\n%s", text)
		}
	})
}

// A stop breaks off what does not end in time; after the next start it runs again, and the break does not count as a failure.
func TestStopGivesJobsBack(t *testing.T) {
	onEngines(t, func(t *testing.T, r *rig) {
		began := make(chan string, 10)
		var released atomic.Bool
		c := newTest(t, r.options("a"), quick, &worker{provision: func(ctx context.Context, id string) error {
			began <- id
			if released.Load() {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}})
		noError(t, c.Start(t.Context()))
		r.commit(t, func(tx hub.Tx) { noError(t, c.EnqueueProvision(t.Context(), tx, key(1))) })
		receive(t, began, "the job")
		noError(t, c.Stop(t.Context()))
		if n := r.count(t, "SELECT count(*) FROM river_job WHERE state = 'available' AND attempt = 0"); n != 1 {
			t.Errorf("%d jobs were given back, want 1", n)
		}
		released.Store(true)
		start(t, c)
		receive(t, began, "the job again")
	})
}

// A stop lets what runs finish.
func TestStopDrains(t *testing.T) {
	onEngines(t, func(t *testing.T, r *rig) {
		began, finish := make(chan string), make(chan struct{})
		tune := quick
		tune.drain = patience
		c := newTest(t, r.options("a"), tune, &worker{provision: func(ctx context.Context, id string) error {
			began <- id
			<-finish
			return ctx.Err()
		}})
		noError(t, c.Start(t.Context()))
		r.commit(t, func(tx hub.Tx) { noError(t, c.EnqueueProvision(t.Context(), tx, key(1))) })
		receive(t, began, "the job")
		stopped := make(chan error)
		go func() { stopped <- c.Stop(t.Context()) }()
		close(finish)
		noError(t, receive(t, stopped, "the stop"))
		if n := r.count(t, "SELECT count(*) FROM river_job WHERE state = 'completed'"); n != 1 {
			t.Errorf("%d jobs were completed, want 1", n)
		}
	})
}

// The jobs that a dead hub held are free when the next one starts, of every kind.
func TestADeadHubsJobsAreTakenUp(t *testing.T) {
	onEngines(t, func(t *testing.T, r *rig) {
		hold := make(chan struct{})
		held := make(chan string, 10)
		stuck := func(context.Context) error { held <- ""; <-hold; return nil }
		dead := newTest(t, r.options("dead"), quick, &worker{
			provision: func(ctx context.Context, _ string) error { return stuck(ctx) },
			cleanup:   func(ctx context.Context, _ string) error { return stuck(ctx) },
			mail:      func(ctx context.Context, _ string, _ hub.Mail) error { return stuck(ctx) },
		})
		start(t, dead)
		defer close(hold)
		r.commit(t, func(tx hub.Tx) { // as many as it has workers, so that it takes none of them back: it is not really dead
			noError(t, dead.EnqueueProvision(t.Context(), tx, key(1)))
			for range 2 {
				noError(t, dead.EnqueueCleanup(t.Context(), tx, "ten_1"))
				noError(t, dead.EnqueueMail(t.Context(), tx, hub.Mail{Kind: hub.MailReady}))
			}
		})
		for range 5 {
			receive(t, held, "the job that will be left")
		}
		ran := make(chan string, 10)
		o := r.options("next")
		o.Alive = func(context.Context) ([]string, error) { return []string{"next"}, nil }
		next := newTest(t, o, quick, &worker{
			provision: func(context.Context, string) error { ran <- "provision"; return nil },
			cleanup:   func(context.Context, string) error { ran <- "cleanup"; return nil },
			mail:      func(context.Context, string, hub.Mail) error { ran <- "mail"; return nil },
		})
		start(t, next)
		var got []string
		for range 5 {
			got = append(got, receive(t, ran, "a job of the dead hub"))
		}
		slices.Sort(got)
		if want := []string{"cleanup", "cleanup", "mail", "mail", "provision"}; !slices.Equal(got, want) {
			t.Errorf("took up %v, want %v", got, want)
		}
	})
}

// On Postgres several hubs work side by side; what a living one holds stays with it.
func TestALivingHubsJobsStay(t *testing.T) {
	r := postgresRig(t)
	hold, held := make(chan struct{}), make(chan string, 1)
	living := newTest(t, r.options("living"), quick, &worker{provision: func(context.Context, string) error { held <- ""; <-hold; return nil }})
	start(t, living)
	defer close(hold)
	r.commit(t, func(tx hub.Tx) { noError(t, living.EnqueueProvision(t.Context(), tx, key(1))) })
	receive(t, held, "the job")
	o := r.options("next")
	o.Alive = func(context.Context) ([]string, error) { return []string{"next", "living"}, nil }
	next := newTest(t, o, quick, &worker{provision: func(context.Context, string) error { t.Error("it was taken away"); return nil }})
	start(t, next)
	noError(t, next.engine.rescue(t.Context()))
	if n := r.count(t, "SELECT count(*) FROM river_job WHERE state = 'running'"); n != 1 {
		t.Errorf("%d jobs run, want 1", n)
	}
}
