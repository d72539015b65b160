package hub

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"
)

// Provision takes one request as far as it goes: claims it where its plan is automatic, chooses its backend, runs its steps. It is what the
// request's job calls; calling it again is harmless: a request in other hands, finished or not the hub's turn is left alone.
//
// Errors: only those of the hub itself (its database is gone, ctx ended); then the job tries again. A step that fails is no error here:
// the request is failed, with its reason.
func (s *Service) Provision(ctx context.Context, requestID string) error {
	w := &run{s: s, id: requestID}
	defer s.runs.leave(w)
	b, err := w.begin(ctx, true)
	if stuck := (*stuckError)(nil); errors.As(err, &stuck) && !passing(ctx, err) {
		if _, err = w.begin(ctx, false); err == nil && w.req != nil {
			err = w.fail(ctx, nil, stuck.rec, stuck.err)
		}
	}
	if err == nil && w.req != nil && w.req.State == Migrating {
		err = w.migrate(ctx, b)
	}
	if errors.Is(err, errLeaseLost) {
		s.log.InfoContext(ctx, "a run ended because its request is in other hands", "request", requestID)
		return nil
	}
	if err != nil && ctx.Err() != nil && w.req != nil {
		w.letGo(ctx)
	}
	return err
}

// stuckError is what came up before the first step. The request is failed for it, so that people see why.
type stuckError struct {
	rec StepRecord
	err error
}

func (e *stuckError) Error() string { return e.rec.Name + ": " + e.err.Error() }
func (e *stuckError) Unwrap() error { return e.err }

// passing reports the hub's own passing trouble, which is left to the job: it tries again.
func passing(ctx context.Context, err error) bool {
	return errors.Is(err, errLeaseLost) || errors.Is(err, ErrConflict) || ctx.Err() != nil || IsCode(err, CodeUnavailable)
}

// The names under which a request fails before its first step: planStep when the steps cannot be laid out, as after a feature was taken out of
// the catalog.
var (
	backendStep = StepRecord{Name: "backend", Title: "Choose the backend"}
	planStep    = StepRecord{Name: "plan", Title: "Plan the steps"}
)

func planSteps(c *Catalog, features []string, d Dialect) ([]Step, error) {
	steps, err := PlanSteps(c, features, d)
	if err != nil {
		return nil, &StepError{Class: ClassCatalog, Err: err}
	}
	return steps, nil
}

// advance takes the request as far as the hub's own database goes, in the transaction that takes the lease: the backend is chosen and the
// steps are laid out. A request that was begun, taken over by hand and given back goes on in the backend that it has. It writes everything but
// the request itself.
func (w *run) advance(ctx context.Context, u *unit, r *Request) (*bench, error) {
	if r.State == InProgress {
		name := w.s.fallback
		if r.TenantID != "" {
			t, err := u.Tenant(ctx, r.TenantID)
			if err != nil {
				return nil, err
			}
			name = t.Backend.Provider
		}
		p, err := w.s.provider(name)
		if err == nil {
			err = w.s.giveBackend(ctx, u, r, p)
		}
		if err != nil {
			return nil, &stuckError{backendStep, err}
		}
		if err := w.step(ctx, u, r, MoveCredentials, map[string]any{"provider": name, "tenant": r.TenantID}); err != nil {
			return nil, err
		}
	}
	if r.State != CredentialsReceived {
		return nil, nil
	}
	b, err := w.start(ctx, u, r)
	if err != nil {
		return nil, &stuckError{planStep, err}
	}
	return b, nil
}

// start plans the steps. Those that were done in an earlier run stay done if the catalog still has them unchanged; the ledger decides.
func (w *run) start(ctx context.Context, u *unit, r *Request) (*bench, error) {
	cat := w.s.Catalog()
	t, err := u.LockTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	b := &bench{tenant: t}
	if err := b.plan(w.s, cat, r); err != nil {
		return nil, err
	}
	if t.State == TenantError { // after a retry it is under way again
		t.State = TenantProvisioning
		if err := u.UpdateTenant(ctx, t); err != nil {
			return nil, err
		}
	}
	if b.records, err = w.putSteps(ctx, u, r, b.steps); err != nil {
		return nil, err
	}
	now := u.Now()
	if r.StartedAt == nil {
		r.StartedAt = &now
	}
	return b, w.step(ctx, u, r, MoveStart, map[string]any{"steps": len(b.steps), "catalog": cat.Version})
}

func (w *run) putSteps(ctx context.Context, u *unit, r *Request, steps []Step) ([]StepRecord, error) {
	var before []StepRecord
	if r.StartedAt != nil {
		var err error
		if before, err = u.Steps(ctx, r.ID); err != nil {
			return nil, err
		}
	}
	records := make([]StepRecord, len(steps))
	for i, st := range steps {
		records[i] = StepRecord{Seq: i + 1, Name: st.Name, Kind: st.Kind, Title: st.Title, Status: StepPending}
		if j := slices.IndexFunc(before, func(b StepRecord) bool { return b.Name == st.Name }); j >= 0 {
			records[i].Tries, records[i].StartedAt = before[j].Tries, before[j].StartedAt
			if st.InLedger() && before[j].Status == StepDone {
				records[i].Status, records[i].FinishedAt = StepDone, before[j].FinishedAt
			}
		}
	}
	return records, u.PutSteps(ctx, r.ID, records)
}

// bench is what the steps of one run work with.
type bench struct {
	tenant   *Tenant
	provider Provider
	creds    Credentials
	steps    []Step
	records  []StepRecord
	id       Identity
	db       *sql.DB  // as owner; nil until the database exists
	asTenant *sql.DB  // nil until it is opened for the probe
	sealed   Identity // what it said when it was opened
	ledger   map[string]string

	unwritten []int     // the records that changed since they were last written
	writtenAt time.Time // by the process's clock
}

// fromPool reports that the database came out of the pool just now, so that the checks have passed on it or on the template that it was
// copied from, under this catalog, and nobody could reach it since.
func (b *bench) fromPool() bool {
	return b.tenant.Member != "" && b.sealed.TenantID == b.tenant.Member && b.sealed.CatalogVersion == b.id.CatalogVersion
}

// plan fills in what follows from the tenant and the catalog.
func (b *bench) plan(s *Service, cat *Catalog, r *Request) (err error) {
	if b.provider, err = s.provider(b.tenant.Backend.Provider); err != nil {
		return err
	}
	if b.creds, err = s.openCredentials(b.tenant); err != nil {
		return err
	}
	if b.steps, err = planSteps(cat, r.Features, b.provider.Dialect()); err != nil {
		return err
	}
	if _, brought := b.provider.(Bringer); brought {
		b.steps[0].Title = "Examine the database" // it is there already
	}
	b.id = s.identity(b.tenant.ID, b.tenant.Backend.Generation, cat.Version)
	return nil
}

// migrate runs the steps. b is what start left, or nil where the request was found in the middle of them.
func (w *run) migrate(ctx context.Context, b *bench) error {
	if b == nil {
		var err error
		if b, err = w.resume(ctx); err != nil {
			if passing(ctx, err) {
				return err
			}
			return w.fail(ctx, nil, planStep, err)
		}
	}
	defer func() {
		if err := b.close(); err != nil {
			w.s.log.WarnContext(ctx, "closing a tenant's database", "tenant", b.tenant.ID, "error", err)
		}
	}()
	b.writtenAt = time.Now()
	for i, st := range b.steps {
		rec := &b.records[i]
		if st.InLedger() && b.ledger[st.Name] == st.Source.Checksum && st.Source.Checksum != "" {
			if rec.Status != StepDone {
				b.finished(i, w.s.now())
			}
			continue
		}
		if st.Kind == StepCheck && b.fromPool() {
			b.finished(i, w.s.now())
			continue
		}
		b.began(i, w.s.now())
		if time.Since(b.writtenAt) >= showEvery {
			if err := w.show(ctx, b.takeUnwritten()); err != nil {
				return err
			}
		}
		if err := w.showing(ctx, b, func(ctx context.Context) error { return w.attempt(ctx, b, st, rec) }); err != nil {
			if passing(ctx, err) {
				return err
			}
			return w.fail(ctx, b, *rec, err)
		}
		b.finished(i, w.s.now())
	}
	return w.complete(ctx, b)
}

// now is for what people read beside a step; order and leases go by the database's clock.
func (s *Service) now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func (b *bench) began(i int, now time.Time) {
	rec := &b.records[i]
	rec.Status, rec.StartedAt, rec.FinishedAt, rec.Failure = StepRunning, &now, nil, nil
	b.changed(i)
}

func (b *bench) finished(i int, now time.Time) {
	rec := &b.records[i]
	if rec.StartedAt == nil {
		rec.StartedAt = &now
	}
	rec.Status, rec.FinishedAt, rec.Failure = StepDone, &now, nil
	b.changed(i)
}

func (b *bench) changed(i int) {
	if !slices.Contains(b.unwritten, i) {
		b.unwritten = append(b.unwritten, i)
	}
}

// takeUnwritten gives the records to be written.
func (b *bench) takeUnwritten() []StepRecord {
	out := make([]StepRecord, len(b.unwritten))
	for i, n := range b.unwritten {
		out[i] = b.records[n]
	}
	b.unwritten, b.writtenAt = nil, time.Now()
	return out
}

// showEvery is how far what people see of the steps may lag behind what is done: a step that is over sooner is written with the next commit. It
// also bounds how long a run works without looking whether it still holds its request. What was done the ledger says, so nothing hangs on the
// record.
const showEvery = 100 * time.Millisecond

// showing runs a step, and writes that it runs if it takes longer than showEvery. A run whose request is in other hands by then is called back.
// What that write meets otherwise, the next one will meet, too.
func (w *run) showing(ctx context.Context, b *bench, step func(context.Context) error) error {
	if len(b.unwritten) == 0 {
		return step(ctx)
	}
	since := b.writtenAt
	records, written := b.takeUnwritten(), false
	ctx, callBack := context.WithCancelCause(ctx)
	defer callBack(nil)
	over, shown := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(shown)
		late := time.NewTimer(showEvery)
		defer late.Stop()
		select {
		case <-over:
			return
		case <-late.C:
		}
		err := w.show(ctx, records)
		if written = err == nil; errors.Is(err, errLeaseLost) {
			callBack(err)
		}
	}()
	err := step(ctx)
	close(over)
	<-shown
	if lost := context.Cause(ctx); errors.Is(lost, errLeaseLost) {
		return lost
	}
	if !written {
		b.writtenAt = since
		for _, r := range records {
			b.unwritten = append(b.unwritten, r.Seq-1)
		}
	}
	return err
}

func (w *run) show(ctx context.Context, records []StepRecord) error {
	return w.update(ctx, func(u *unit, r *Request) error {
		u.touch(r.ID)
		return u.UpdateSteps(ctx, r.ID, records)
	})
}

// resume reads what a run before this one left.
func (w *run) resume(ctx context.Context) (*bench, error) {
	b, err := view(ctx, w.s, func(tx Tx) (*bench, error) {
		t, err := tx.Tenant(ctx, w.req.TenantID)
		if err != nil {
			return nil, err
		}
		records, err := tx.Steps(ctx, w.id)
		return &bench{tenant: t, records: records}, err
	})
	if err != nil {
		return nil, err
	}
	if err := b.plan(w.s, w.s.Catalog(), w.req); err != nil {
		return nil, err
	}
	same := slices.EqualFunc(b.steps, b.records, func(st Step, rec StepRecord) bool { return st.Name == rec.Name })
	if !same { // the hub was restarted with another catalog in the middle of this request
		err = w.update(ctx, func(u *unit, r *Request) error {
			b.records, err = w.putSteps(ctx, u, r, b.steps)
			return err
		})
	}
	return b, err
}

func (w *run) complete(ctx context.Context, b *bench) error {
	records := b.takeUnwritten()
	return w.update(ctx, func(u *unit, r *Request) error {
		if err := u.UpdateSteps(ctx, r.ID, records); err != nil {
			return err
		}
		now := u.Now()
		t, err := u.LockTenant(ctx, r.TenantID)
		if err != nil {
			return err
		}
		t.State, t.ReadyAt, t.SizeBytes, t.CatalogVersion, t.Member = TenantActive, &now, b.tenant.SizeBytes, b.id.CatalogVersion, ""
		if err := u.UpdateTenant(ctx, t); err != nil {
			return err
		}
		ready := now.Sub(r.EnqueuedAt).Milliseconds()
		r.FinishedAt, r.Worker, r.Failure, r.ReadyMS = &now, "", nil, &ready
		if err := u.FinishOperations(ctx, r.ID, ""); err != nil {
			return err
		}
		if err := w.s.jobs.EnqueueMail(ctx, u, Mail{Kind: MailReady, RequestID: r.ID}); err != nil {
			return err
		}
		plan, took := r.Plan, now.Sub(r.EnqueuedAt)
		u.then(func() { w.s.meter.RequestCompleted(plan, took) })
		return w.move(ctx, u, r, MoveComplete, map[string]any{"tenant": r.TenantID})
	})
}
