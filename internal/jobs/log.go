package jobs

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// failures logs what jobs returned and whether they are tried again.
type failures struct{ log *slog.Logger }

// HandleError implements river.ErrorHandler.
func (f failures) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	if job.Attempt >= job.MaxAttempts {
		f.log.ErrorContext(ctx, "a job is given up", append(about(job), "error", err)...)
	} else {
		f.log.WarnContext(ctx, "a job failed and will be tried again", append(about(job), "error", err)...)
	}
	return nil
}

// HandlePanic implements river.ErrorHandler. The job is tried again like one that returned an error.
func (f failures) HandlePanic(ctx context.Context, job *rivertype.JobRow, panicked any, trace string) *river.ErrorHandlerResult {
	f.log.ErrorContext(ctx, "a job panicked and will be tried again", append(about(job), "panic", fmt.Sprint(panicked), "stack", trace)...)
	return nil
}

// about names the job. Its arguments are ids only.
func about(job *rivertype.JobRow) []any {
	return []any{"job", job.ID, "kind", job.Kind, "args", string(job.EncodedArgs), "attempt", job.Attempt}
}

// onlyWarnings keeps River's talk about its own doings out of our log.
type onlyWarnings struct{ slog.Handler }

func (h onlyWarnings) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}

func (h onlyWarnings) WithAttrs(a []slog.Attr) slog.Handler {
	return onlyWarnings{h.Handler.WithAttrs(a)}
}

func (h onlyWarnings) WithGroup(g string) slog.Handler { return onlyWarnings{h.Handler.WithGroup(g)} }
