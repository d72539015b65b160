package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"github.com/kitshub/kitshub/internal/hub"
)

type mailArgs struct {
	ID        string       `json:"id"` // becomes the Message-ID
	Letter    hub.MailKind `json:"letter"`
	RequestID string       `json:"request_id"`
}

// Kind implements river.JobArgs.
func (mailArgs) Kind() string { return "mail" }

type mailWorker struct {
	river.WorkerDefaults[mailArgs]
	client *Client
}

func (w *mailWorker) Timeout(*river.Job[mailArgs]) time.Duration { return mailTimeout }

func (w *mailWorker) Work(ctx context.Context, j *river.Job[mailArgs]) error {
	return w.client.handle().SendMail(ctx, j.Args.ID, hub.Mail{Kind: j.Args.Letter, RequestID: j.Args.RequestID})
}
