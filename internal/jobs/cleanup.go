package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"
)

type cleanupArgs struct {
	TenantID string `json:"tenant_id"`
}

// Kind implements river.JobArgs.
func (cleanupArgs) Kind() string { return "cleanup" }

type cleanupWorker struct {
	river.WorkerDefaults[cleanupArgs]
	client *Client
}

func (w *cleanupWorker) Timeout(*river.Job[cleanupArgs]) time.Duration { return cleanupTimeout }

func (w *cleanupWorker) Work(ctx context.Context, j *river.Job[cleanupArgs]) error {
	return w.client.handle().Cleanup(ctx, j.Args.TenantID)
}
