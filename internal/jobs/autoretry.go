package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"github.com/kitshub/kitshub/internal/hub"
)

type retryArgs struct {
	RequestID string `json:"request_id"`
	Fence     int64  `json:"fence"`
}

// Kind implements river.JobArgs.
func (retryArgs) Kind() string { return "retry" }

type retryWorker struct {
	river.WorkerDefaults[retryArgs]
	client *Client
}

func (w *retryWorker) Timeout(*river.Job[retryArgs]) time.Duration { return retryTimeout }

func (w *retryWorker) Work(ctx context.Context, j *river.Job[retryArgs]) error {
	return w.client.handle().RetryByItself(ctx, hub.Again{RequestID: j.Args.RequestID, Fence: j.Args.Fence, At: j.ScheduledAt})
}

// EnqueueRetry implements hub.Jobs. River looks every five seconds for what is due, so it may come that much later than asked.
func (c *Client) EnqueueRetry(ctx context.Context, tx hub.Tx, a hub.Again) error {
	return c.enqueue(ctx, tx, retryArgs{RequestID: a.RequestID, Fence: a.Fence}, &river.InsertOpts{
		Queue: queueRetry, MaxAttempts: retryAttempts, ScheduledAt: a.At, Priority: riverPriority(2), // a moment's work: before the runs in this queue
	})
}
