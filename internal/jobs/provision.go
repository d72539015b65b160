package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"
)

type provisionArgs struct {
	RequestID string `json:"request_id"`
}

// Kind implements river.JobArgs.
func (provisionArgs) Kind() string { return "provision" }

type provisionWorker struct {
	river.WorkerDefaults[provisionArgs]
	client *Client
}

func (w *provisionWorker) Timeout(*river.Job[provisionArgs]) time.Duration { return provisionTimeout }

func (w *provisionWorker) Work(ctx context.Context, j *river.Job[provisionArgs]) error {
	return w.client.handle().Provision(ctx, j.Args.RequestID)
}
