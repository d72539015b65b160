package jobs

import (
	"math/rand/v2"
	"time"

	"github.com/riverqueue/river/rivertype"
)

// pause is how long a kind of job waits between tries: first, then twice as long each time, up to most.
type pause struct{ first, most time.Duration }

// retryPolicy has the pauses of each kind. It implements river.ClientRetryPolicy.
type retryPolicy map[string]pause

var pauses = retryPolicy{
	provisionArgs{}.Kind(): {time.Second, time.Minute}, // its errors are the hub's own: the database is gone, and comes back
	cleanupArgs{}.Kind():   {time.Second, 5 * time.Minute},
	retryArgs{}.Kind():     {time.Second, time.Minute},          // the same
	mailArgs{}.Kind():      {5 * time.Second, 30 * time.Minute}, // a mail server's trouble takes minutes or days
}

// after gives the pause after so many failures, without jitter.
func (p pause) after(failures int) time.Duration {
	d := p.first
	for range failures - 1 {
		if d *= 2; d >= p.most {
			return p.most
		}
	}
	return d
}

// NextRetry implements river.ClientRetryPolicy. A try that a stopping hub broke off is no failure. The tenth of jitter keeps jobs that
// failed together from coming back together.
func (r retryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	p, ok := r[job.Kind]
	if !ok {
		p = pause{time.Minute, time.Hour}
	}
	d := p.after(len(job.Errors) + 1)
	return time.Now().Add(d + rand.N(d/10+1)) //nolint:gosec // jitter needs no secrecy
}
