package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/kitshub/kitshub/internal/hub"
)

// How often a job is tried before it is given up: long after anybody would have noticed (see retry.go for the pauses).
const (
	provisionAttempts = 10_000 // about a week
	cleanupAttempts   = 2_500  // about nine days
	retryAttempts     = 10_000 // about a week
	mailAttempts      = 250    // about five days
)

// EnqueueProvision implements hub.Jobs. Equal priorities are worked by enqueue time, then by the order in which they were enqueued.
func (c *Client) EnqueueProvision(ctx context.Context, tx hub.Tx, k hub.LineKey) error {
	return c.provision(ctx, tx, k, queueProvision)
}

// EnqueueRetried implements hub.Jobs.
func (c *Client) EnqueueRetried(ctx context.Context, tx hub.Tx, k hub.LineKey) error {
	return c.provision(ctx, tx, k, queueRetry)
}

func (c *Client) provision(ctx context.Context, tx hub.Tx, k hub.LineKey, queue string) error {
	return c.enqueue(ctx, tx, provisionArgs{RequestID: k.ID}, &river.InsertOpts{
		Queue: queue, MaxAttempts: provisionAttempts,
		Priority:    riverPriority(k.Priority),
		ScheduledAt: k.EnqueuedAt.Truncate(c.engine.precision()), // River rounds; a time rounded up would not be due yet
	})
}

// EnqueueCleanup implements hub.Jobs.
func (c *Client) EnqueueCleanup(ctx context.Context, tx hub.Tx, tenantID string) error {
	return c.enqueue(ctx, tx, cleanupArgs{TenantID: tenantID}, &river.InsertOpts{Queue: queueCleanup, MaxAttempts: cleanupAttempts})
}

// EnqueueMail implements hub.Jobs. The mail's id is made here, so that every try carries the same one, whatever becomes of the database.
func (c *Client) EnqueueMail(ctx context.Context, tx hub.Tx, m hub.Mail) error {
	args := mailArgs{ID: hub.NewID("mail_", tx.Now()), Letter: m.Kind, RequestID: m.RequestID}
	return c.enqueue(ctx, tx, args, &river.InsertOpts{Queue: queueMail, MaxAttempts: mailAttempts})
}

func (c *Client) enqueue(ctx context.Context, tx hub.Tx, args river.JobArgs, opts *river.InsertOpts) error {
	if err := c.engine.insert(ctx, tx, args, opts); err != nil {
		return fmt.Errorf("enqueueing a %s job: %w", args.Kind(), err)
	}
	return nil
}

// riverPriority: River has 1 (first) to 4. 4 stays free for work that may wait for everybody.
func riverPriority(p int) int { return 3 - min(max(p, 0), 2) }

// inLine makes a job that names a past time available at once; River would call it scheduled and look for it every five seconds.
type inLine struct{ river.HookDefaults }

func (inLine) InsertBegin(_ context.Context, p *rivertype.JobInsertParams) error {
	if p.Kind == (provisionArgs{}).Kind() && p.State == rivertype.JobStateScheduled {
		p.State = rivertype.JobStateAvailable
	}
	return nil
}

// precision of River's times on each engine.
func (*sqliteEngine) precision() time.Duration   { return time.Millisecond }
func (*postgresEngine) precision() time.Duration { return time.Microsecond }
