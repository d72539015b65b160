package hub

import (
	"context"
	"math/rand/v2"
	"time"
)

// A failed request whose trouble passes by itself is retried by the hub, by a job that commits with the failure. The pauses double from
// firstAutoRetry to longestAutoRetry, each with a quarter of jitter either way, so that the tenants of a cluster that comes back do not come
// back in step. With maxAutoRetries the hub tries for about an hour (5+10+20+40+80+160 s, then eleven times 300 s); after that something is
// wrong that people have to look at, and they and the customer are told.
const (
	firstAutoRetry   = 5 * time.Second
	longestAutoRetry = 5 * time.Minute
	maxAutoRetries   = 17
)

// transient reports whether the trouble passes by itself.
//
// Network is what passes: the server is away, starts, fails over, or somebody holds a lock. Of quota only what is given back without anybody's
// doing passes, connections and open files; a full disk or a memory that is too small stays so until somebody makes room, and each try on a full
// disk makes it worse. Credentials, data, the catalog and our own bugs are the same at the next try. A database that was dropped and a file that
// the server misses are of its classes of interruptions, and do not come back.
func (f *Failure) transient() bool {
	switch f.Class {
	case ClassNetwork:
		return f.Code != "57P04" && f.Code != "58P01"
	case ClassQuota:
		return f.Code == "53300" || f.Code == "EMFILE"
	}
	return false
}

// schedule says when the hub tries again by itself, if it does. before is the failure that it was trying to get over, or nil. It may be called
// again, as a transaction that lost is run again.
func (f *Failure) schedule(before *Failure, now time.Time) {
	f.advise()
	f.RetryAt, f.Retries = nil, 0
	if before != nil {
		f.Retries = before.Retries
	}
	if !f.transient() || f.Retries >= maxAutoRetries {
		return
	}
	at := now.Add(pauseBefore(f.Retries)).Truncate(time.Microsecond)
	f.RetryAt, f.Customer, f.Action = &at, againText, again(at, f.Action)
}

// pauseBefore gives the pause before the automatic retry that follows n others, with jitter.
func pauseBefore(n int) time.Duration {
	d := longestAutoRetry
	if n < 10 {
		d = min(d, firstAutoRetry<<n)
	}
	return d - d/4 + rand.N(d/2) //nolint:gosec // jitter needs no secrecy
}

// followUp enqueues what comes after a failure: the hub's own retry, or, when it gives up, the word to the customer. Whoever follows the
// operation is told that it failed only then.
func (s *Service) followUp(ctx context.Context, u *unit, r *Request) error {
	if at := r.Failure.RetryAt; at != nil {
		return s.jobs.EnqueueRetry(ctx, u, Again{RequestID: r.ID, Fence: r.Fence, At: *at})
	}
	if err := u.FinishOperations(ctx, r.ID, r.Failure.Step+": "+r.Failure.Cause); err != nil {
		return err
	}
	return s.jobs.EnqueueMail(ctx, u, Mail{Kind: MailFailed, RequestID: r.ID})
}

// Again names one failure of a request that the hub retries by itself.
type Again struct {
	RequestID string
	Fence     int64 // of the run that failed; each run has its own, so it names the failure
	At        time.Time
}

// RetryByItself takes a failed request up again after a pause. Called by a job, which tries again on error; a request that somebody has
// retried, claimed or cancelled meanwhile is left alone, also when it failed anew.
func (s *Service) RetryByItself(ctx context.Context, a Again) error {
	_, err := mutate(ctx, s, func(u *unit) (*Request, error) {
		r, err := u.LockRequest(ctx, a.RequestID)
		if IsCode(err, CodeNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if r.State != Failed || r.Fence != a.Fence || r.Failure == nil || r.Failure.RetryAt == nil {
			return nil, nil
		}
		f := *r.Failure // kept until it ends well: it counts the tries, and says why it is still under way
		f.Retries++
		f.RetryAt = nil
		if err := r.move(MoveRetry, u.Now()); err != nil {
			return nil, err
		}
		detail, err := s.takeUp(ctx, u, r, s.jobs.EnqueueRetried)
		if err != nil {
			return nil, err
		}
		r.Failure = &f
		detail["retries"] = f.Retries
		return r, u.saveMove(ctx, HubActor(), r, MoveRetry, detail)
	})
	return err
}

// takeUp does what a retry needs besides the move: at the step that failed where the request had credentials, else back in the line. enqueue
// says in which queue.
func (s *Service) takeUp(ctx context.Context, u *unit, r *Request, enqueue func(context.Context, Tx, LineKey) error) (map[string]any, error) {
	detail := map[string]any{}
	if r.Failure != nil {
		detail["step"] = r.Failure.Step
	}
	r.Failure, r.FinishedAt, r.Worker = nil, nil, ""
	if r.State == Pending {
		r.AssignedTo, r.AssigneeName, r.ClaimedAt = "", "", nil
		if r.Way != Automatic {
			return detail, nil
		}
		return detail, enqueue(ctx, u, r.Key())
	}
	op, found, err := u.OpenOperation(ctx, r.ID) // open while the hub tries by itself
	if err != nil {
		return nil, err
	}
	if !found {
		op = provisionOperation(u, r)
		if err := u.InsertOperation(ctx, op); err != nil {
			return nil, err
		}
	}
	r.OperationID = op.ID
	return detail, enqueue(ctx, u, r.Key())
}

// endRetries ends the operation of a failed request that the hub would have retried by itself and that a person takes over.
func (u *unit) endRetries(ctx context.Context, r *Request) error {
	if r.Failure == nil || r.Failure.RetryAt == nil {
		return nil
	}
	return u.FinishOperations(ctx, r.ID, r.Failure.Step+": "+r.Failure.Cause)
}
