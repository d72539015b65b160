package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// fail ends the run with a reason that explains itself. Where the trouble passes by itself the request is taken up again later, by a job that
// commits with the failure; else it waits for retry, claim or cancel. Nothing that was done is lost.
func (w *run) fail(ctx context.Context, b *bench, rec StepRecord, cause error) error {
	f := explain(rec, cause)
	w.s.log.ErrorContext(ctx, "a step failed", "request", w.id, "step", f.Step, "class", f.Class, "code", f.Code, "file", f.File, "line", f.Line, "error", cause)
	var records []StepRecord
	if b != nil {
		i, end := slices.IndexFunc(b.records, func(x StepRecord) bool { return x.Name == rec.Name }), w.s.now()
		b.records[i].Status, b.records[i].Failure, b.records[i].FinishedAt, b.records[i].Tries = StepFailed, f, &end, rec.Tries
		b.changed(i)
		records = b.takeUnwritten()
	}
	return w.update(ctx, func(u *unit, r *Request) error {
		now := u.Now()
		f.schedule(r.Failure, now)
		r.Failure, r.FinishedAt, r.Worker = f, &now, ""
		if err := u.UpdateSteps(ctx, r.ID, records); err != nil {
			return err
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
		if err := w.s.followUp(ctx, u, r); err != nil {
			return err
		}
		plan, class := r.Plan, f.Class
		u.then(func() { w.s.meter.RequestFailed(plan, class) })
		detail := map[string]any{"step": f.Step, "class": string(f.Class), "code": f.Code}
		if f.RetryAt != nil {
			detail["retry_at"] = f.RetryAt.UTC().Format(time.RFC3339)
		}
		return w.move(ctx, u, r, MoveFail, detail)
	})
}

// explain says what happened, to operators and, without innards, to the customer.
func explain(rec StepRecord, cause error) *Failure {
	f := &Failure{Step: rec.Name, Class: ClassBug, Cause: cause.Error(), Tries: rec.Tries}
	var se *StepError
	switch {
	case errors.As(cause, &se):
		f.Class, f.Code, f.File, f.Line = se.Class, se.Code, se.File, se.Line
	case errors.Is(cause, context.DeadlineExceeded): // not the run's own, which is no failure: a connection was not made in time
		f.Class = ClassNetwork
	}
	f.advise()
	return f
}

// advise says what people can do, and what the customer reads while they do.
func (f *Failure) advise() {
	f.Action, f.Customer = advice(f.Class, f.Code), customerText[f.Class]
	if f.Customer == "" {
		f.Customer = customerText[ClassBug]
	}
}

// customerText is what a customer reads when people have to act; while the hub tries again by itself it is againText.
var customerText = map[Class]string{
	ClassNetwork: "We could not reach your database for some time. We are on it; nothing is lost.",
	ClassAuth:    "Setting up your database needs a correction on our side. We are on it.",
	ClassQuota:   "We ran out of room while setting up your database. We are making some.",
	ClassData:    "A check of your new database did not pass. We are on it.",
	ClassCatalog: "A part of your plan could not be set up. We are on it; nothing is lost.",
	ClassBug:     "Something went wrong on our side. We are on it; nothing is lost.",
}

const againText = "We could not reach your database just now. We try again by ourselves within minutes; nothing is lost."

// classAdvice is the safe next action where the code says no more than the class.
var classAdvice = map[Class]string{
	ClassNetwork: "Retry when the database can be reached again.",
	ClassAuth:    "Correct the credentials or rights, then retry.",
	ClassQuota:   "Free some room (disk, memory or connections), then retry.",
	ClassData:    "Look at the rows or the database the message names; correct the catalog's check or the data, then retry.",
	ClassCatalog: "Correct the named file (kitshub catalog lint shows it), then retry: it resumes at this step.",
	ClassBug:     "Read the hub's log for this request; retry is safe.",
}

// codeAdvice is the safe next action by the database's own code: SQLSTATE as in Postgres's appendix A, and the names that our own parts give.
var codeAdvice = map[string]string{
	"08P01": "What answers at the address speaks another protocol; correct host and port, then retry.",
	"25006": "The server only reads: a standby, or one that was failed over. Point the address at the primary, then retry.",
	"28000": "The server does not let this role in. Look at the role's right to log in and at pg_hba.conf (a database in quarantine is given back by kitshub reconcile --adopt), then retry.",
	"28P01": "The server refuses the password. Correct it there or in TENANT_DATABASE_URL, then retry; to give that of a database that was brought anew, claim the request.",
	"3D000": "The database is not there. Retry makes it again; if it was in use before, restore its backup first.",
	"40001": "Other transactions were in the way; retry.",
	"40P01": "It ended a deadlock with another session; retry.",
	"42501": "Grant the right that the message names (kitshub doctor shows the SQL), then retry.",
	"53100": "The disk of the database server is full. Free or add room there, then retry; nothing was lost.",
	"53200": "The database server ran out of memory. Give it more, or raise max_locks_per_transaction if the message says so, then retry.",
	"53300": "The server has no connection left. Raise max_connections or the role's CONNECTION LIMIT, or let fewer programs connect (kitshub doctor holds the hub's budget against them), then retry.",
	"53400": "A limit of the server's configuration was reached; the message names it. Raise it, then retry.",
	"55006": "Somebody is connected to a database that has to be free. See who in pg_stat_activity, then retry.",
	"55P03": "Another session held a lock for too long. See which in pg_locks, end it if it was forgotten, then retry.",
	"57014": "The server ended the statement, as a timeout or an administrator asked. Look at statement_timeout, then retry.",
	"57P01": "The server was stopped or the session was ended by an administrator. Retry when it runs.",
	"57P02": "The server restarts after a crash. Retry when it runs; its log says why it crashed.",
	"57P03": "The server starts, stops or recovers. Retry when it lets connections in.",
	"57P04": "Somebody dropped the database meanwhile. Find out who; retry makes it again.",
	"58P01": "The server misses a file that the message names, as an extension's library. Put it there, then retry.",

	"ECONNREFUSED":      "Nothing listens at the address. Start the server or correct host and port, then retry.",
	"TLS":               "The server and the hub do not agree on encryption. Correct sslmode or the server's certificate, then retry; to give the address of a database that was brought anew, claim the request.",
	"ENOSPC":            "The hub's disk is full. Free some room in DATA_DIR, then retry.",
	"EMFILE":            "The hub has too many files open. Raise its limit (ulimit -n), then retry.",
	"SQLITE_FULL":       "The hub's disk is full. Free some room in DATA_DIR, then retry.",
	"IDENTITY_MISMATCH": "Do not retry before you know whose the database is: kitshub reconcile shows both. Correct the record, or cancel the request.",
	"FOREIGN_DATABASE":  "Do not retry before you know whose the database is: kitshub reconcile shows what is there. Rename or move it, then retry.",
	"FOREIGN_ROLE":      "Rename or drop the role that the message names, if nobody needs it, then retry.",
	"NOT_ISOLATED":      "Run the SQL that the message names as an administrator of the cluster, then retry.",
	"ROLE_IN_USE":       "Run the SQL that the message names, in the databases that it names, as an administrator of the cluster, then retry.",
	"VERSION":           "Upgrade the server to Postgres 15 or newer, or use another one, then retry.",
	"NO_CLUSTER":        "Set the TENANT_DATABASE_URL_<NAME> of the cluster that the message names and restart the hub, then retry.",
}

func advice(class Class, code string) string {
	if a, ok := codeAdvice[code]; ok {
		return a
	}
	if len(code) == 5 && code[:2] == "08" {
		return "The connection was lost or refused. Retry when the server can be reached again."
	}
	if a, ok := classAdvice[class]; ok {
		return a
	}
	return classAdvice[ClassBug]
}

// again is how the advice is put while the hub tries by itself.
func again(at time.Time, advice string) string {
	return fmt.Sprintf("The hub tries again by itself at %s. To go on sooner, or if it does not pass: %s", at.UTC().Format("15:04:05 UTC"), advice)
}
