package hub

import (
	"context"
	"errors"
	"slices"
)

// fail ends the run with a reason that explains itself. The request waits for retry, claim or cancel; nothing that was done is lost.
func (w *run) fail(ctx context.Context, b *bench, rec StepRecord, cause error) error {
	f := explain(rec, cause)
	w.s.log.ErrorContext(ctx, "a step failed", "request", w.id, "step", f.Step, "class", f.Class, "code", f.Code, "file", f.File, "line", f.Line, "error", cause)
	return w.update(ctx, func(u *unit, r *Request) error {
		now := u.Now()
		r.Failure, r.FinishedAt, r.Worker = f, &now, ""
		if b != nil {
			i := slices.IndexFunc(b.records, func(x StepRecord) bool { return x.Name == rec.Name })
			b.records[i].Status, b.records[i].Failure, b.records[i].FinishedAt, b.records[i].Tries = StepFailed, f, &now, rec.Tries
			if err := w.writeSteps(ctx, u, b, i); err != nil {
				return err
			}
		}
		if r.TenantID != "" {
			t, err := u.LockTenant(ctx, r.TenantID)
			if err != nil {
				return err
			}
			t.State = TenantError
			if err := u.UpdateTenant(ctx, t); err != nil {
				return err
			}
		}
		if err := u.FinishOperations(ctx, r.ID, f.Step+": "+f.Cause); err != nil {
			return err
		}
		if err := w.s.jobs.EnqueueMail(ctx, u, Mail{Kind: MailFailed, RequestID: r.ID}); err != nil {
			return err
		}
		plan, class := r.Plan, f.Class
		u.then(func() { w.s.meter.RequestFailed(plan, class) })
		return w.move(ctx, u, r, MoveFail, map[string]any{"step": f.Step, "class": string(f.Class), "code": f.Code})
	})
}

// explain says what happened, to operators and, without innards, to the customer.
func explain(rec StepRecord, cause error) *Failure {
	f := &Failure{Step: rec.Name, Class: ClassBug, Cause: cause.Error(), Tries: rec.Tries}
	var se *StepError
	if errors.As(cause, &se) {
		f.Class, f.Code, f.File, f.Line = se.Class, se.Code, se.File, se.Line
	}
	switch f.Class {
	case ClassNetwork:
		f.Action, f.Customer = "Retry when the database can be reached again.", "We could not reach your database for a moment. We will try again."
	case ClassAuth:
		f.Action, f.Customer = "Correct the credentials or rights, then retry.", "Setting up your database needs a correction on our side. We are on it."
	case ClassQuota:
		f.Action, f.Customer = "Free some room (disk or connections), then retry.", "We ran out of room while setting up your database. We are making some."
	case ClassData:
		f.Action, f.Customer = "Look at the rows the message names; correct the catalog's check or data, then retry.", "A check of your new database did not pass. We are on it."
	case ClassCatalog:
		f.Action, f.Customer = "Correct the named file (kitshub catalog lint shows it), then retry: it resumes at this step.", "A part of your plan could not be set up. We are on it; nothing is lost."
	default:
		f.Action, f.Customer = "Read the hub's log for this request; retry is safe.", "Something went wrong on our side. We are on it; nothing is lost."
	}
	return f
}
