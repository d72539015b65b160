package hub

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// run is one worker's hold on one request.
type run struct {
	s     *Service
	id    string
	fence int64
	req   *Request // as last written
}

// Provision takes one request as far as it goes: claims it where its plan is automatic, chooses its backend, runs its steps. It is what the
// request's job calls; calling it again is harmless: a request in other hands, finished or not the hub's turn is left alone.
//
// Errors: only those of the hub itself (its database is gone, ctx ended); then the job tries again. A step that fails is no error here:
// the request is failed, with its reason.
func (s *Service) Provision(ctx context.Context, requestID string) error {
	w := &run{s: s, id: requestID}
	defer s.runs.leave(w)
	if ok, err := w.begin(ctx); !ok || err != nil {
		return err
	}
	var err error
	if w.req.State == InProgress {
		err = w.chooseBackend(ctx)
	}
	if err == nil && w.req.State == CredentialsReceived {
		err = w.start(ctx)
	}
	if err == nil && w.req.State == Migrating {
		err = w.migrate(ctx)
	}
	if errors.Is(err, errLeaseLost) {
		s.log.InfoContext(ctx, "a run ended because its request is in other hands", "request", requestID)
		return nil
	}
	if err != nil && ctx.Err() != nil {
		w.letGo(ctx)
	}
	return err
}

// begin takes the lease; false when there is nothing to do.
func (w *run) begin(ctx context.Context) (bool, error) {
	s := w.s
	r, err := mutate(ctx, s, func(u *unit) (*Request, error) {
		r, err := u.LockRequest(ctx, w.id)
		if IsCode(err, CodeNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if held, err := s.held(ctx, u, r); err != nil || held {
			return nil, err
		}
		mine := r.State == CredentialsReceived || r.State == Migrating ||
			(r.State == InProgress && r.AssignedTo == AutoAssignee) || (r.State == Pending && r.Way == Automatic)
		if !mine {
			return nil, nil
		}
		r.Worker = s.instance
		r.Fence++
		s.runs.enter(w, hold{r.ID, r.Fence})
		if r.State == Pending {
			now := u.Now()
			if err := r.move(MoveClaim, now); err != nil {
				return nil, err
			}
			r.claimedAt(now)
			r.AssignedTo, r.Failure, r.FinishedAt = AutoAssignee, nil, nil
			err = u.saveMove(ctx, HubActor(), r, MoveClaim, map[string]any{"assigned_to": AutoAssignee})
		} else {
			r.UpdatedAt = u.Now()
			err = u.UpdateRequest(ctx, r)
		}
		return r, err
	})
	if err != nil || r == nil {
		return false, err
	}
	w.fence, w.req = r.Fence, r
	return true, nil
}

// held reports whether somebody is at the request: another hub that lives, or a run of this process.
func (s *Service) held(ctx context.Context, tx Tx, r *Request) (bool, error) {
	switch r.Worker {
	case "":
		return false, nil
	case s.instance:
		return s.runs.has(r), nil
	}
	live, err := s.liveIDs(ctx, tx)
	return live[r.Worker], err
}

// update changes the request if this run still holds it.
func (w *run) update(ctx context.Context, change func(*unit, *Request) error) error {
	r, err := mutate(ctx, w.s, func(u *unit) (*Request, error) {
		r, err := u.LockRequest(ctx, w.id)
		if err != nil {
			return nil, err
		}
		if r.Fence != w.fence || r.Worker != w.s.instance {
			return nil, errLeaseLost
		}
		return r, change(u, r)
	})
	if err != nil {
		return err
	}
	w.req = r
	return nil
}

func (w *run) move(ctx context.Context, u *unit, r *Request, m Move, detail map[string]any) error {
	if err := r.move(m, u.Now()); err != nil {
		return err
	}
	return u.saveMove(ctx, HubActor(), r, m, detail)
}

// letGo gives the lease back when this hub is stopping, so that another can take the request up at once.
func (w *run) letGo(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err := w.update(ctx, func(u *unit, r *Request) error {
		r.Worker = ""
		if err := w.s.jobs.EnqueueProvision(ctx, u, r.Key()); err != nil {
			return err
		}
		return u.UpdateRequest(ctx, r)
	})
	if err != nil && !errors.Is(err, errLeaseLost) {
		w.s.log.WarnContext(ctx, "the lease could not be given back; it ends with this hub", "request", w.id, "error", err)
	}
}

func (w *run) chooseBackend(ctx context.Context) error {
	p, err := w.s.provider(w.s.fallback)
	if err != nil {
		return err
	}
	err = w.update(ctx, func(u *unit, r *Request) error {
		if err := w.s.giveBackend(ctx, u, r, p); err != nil {
			return err
		}
		return w.move(ctx, u, r, MoveCredentials, map[string]any{"provider": p.Name(), "tenant": r.TenantID})
	})
	return w.giveUp(ctx, StepRecord{Name: "backend", Title: "Choose the backend"}, err)
}

// giveUp fails the request for what came up before its first step, so that people see why; what is only the hub's own passing trouble is
// given to the job, which tries again.
func (w *run) giveUp(ctx context.Context, rec StepRecord, err error) error {
	if err == nil || errors.Is(err, errLeaseLost) || errors.Is(err, ErrConflict) || ctx.Err() != nil || IsCode(err, CodeUnavailable) {
		return err
	}
	return w.fail(ctx, nil, rec, err)
}

// planStep is where a request fails whose steps cannot be laid out, as after a feature was taken out of the catalog.
var planStep = StepRecord{Name: "plan", Title: "Plan the steps"}

func planSteps(c *Catalog, features []string, d Dialect) ([]Step, error) {
	steps, err := PlanSteps(c, features, d)
	if err != nil {
		return nil, &StepError{Class: ClassCatalog, Err: err}
	}
	return steps, nil
}

// start plans the steps. Those that were done in an earlier run stay done if the catalog still has them unchanged; the ledger decides.
func (w *run) start(ctx context.Context) error {
	cat := w.s.Catalog()
	err := w.update(ctx, func(u *unit, r *Request) error {
		t, err := u.LockTenant(ctx, r.TenantID)
		if err != nil {
			return err
		}
		p, err := w.s.provider(t.Backend.Provider)
		if err != nil {
			return err
		}
		steps, err := planSteps(cat, r.Features, p.Dialect())
		if err != nil {
			return err
		}
		if t.State == TenantError { // after a retry it is under way again
			t.State = TenantProvisioning
			if err := u.UpdateTenant(ctx, t); err != nil {
				return err
			}
		}
		if err := w.putSteps(ctx, u, r, steps); err != nil {
			return err
		}
		now := u.Now()
		if r.StartedAt == nil {
			r.StartedAt = &now
		}
		return w.move(ctx, u, r, MoveStart, map[string]any{"steps": len(steps), "catalog": cat.Version})
	})
	return w.giveUp(ctx, planStep, err)
}

func (w *run) putSteps(ctx context.Context, u *unit, r *Request, steps []Step) error {
	before, err := u.Steps(ctx, r.ID)
	if err != nil {
		return err
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
	return u.PutSteps(ctx, r.ID, records)
}

// bench is what the steps of one run work with.
type bench struct {
	tenant   *Tenant
	provider Provider
	creds    Credentials
	steps    []Step
	records  []StepRecord
	id       Identity
	db       *sql.DB // as owner; nil until the database exists
	ledger   map[string]string
}

func (w *run) migrate(ctx context.Context) error {
	b, err := w.prepare(ctx)
	if err != nil {
		return w.giveUp(ctx, planStep, err)
	}
	defer func() {
		if b.db != nil {
			if err := b.db.Close(); err != nil {
				w.s.log.WarnContext(ctx, "closing a tenant's database", "tenant", b.tenant.ID, "error", err)
			}
		}
	}()
	for i, st := range b.steps {
		rec := &b.records[i]
		if st.InLedger() && b.ledger[st.Name] == st.Source.Checksum && st.Source.Checksum != "" {
			w.note(rec)
			continue
		}
		begun := w.s.now()
		rec.Status, rec.StartedAt, rec.FinishedAt, rec.Failure = StepRunning, &begun, nil, nil
		if err := w.record(ctx, b, i); err != nil {
			return err
		}
		err := w.attempt(ctx, b, st, rec)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, errLeaseLost) {
				return err
			}
			return w.fail(ctx, b, *rec, err)
		}
		w.note(rec)
	}
	return w.complete(ctx, b)
}

// now is for what people read beside a step; order and leases go by the database's clock.
func (s *Service) now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func (w *run) note(rec *StepRecord) {
	end := w.s.now()
	if rec.StartedAt == nil {
		rec.StartedAt = &end
	}
	if rec.Status != StepDone || rec.FinishedAt == nil {
		rec.Status, rec.FinishedAt = StepDone, &end
	}
	rec.Failure = nil
}

// record writes every step up to and with the i-th whose record changed since it was last written: one commit a step.
func (w *run) record(ctx context.Context, b *bench, i int) error {
	return w.update(ctx, func(u *unit, r *Request) error {
		u.touch(r.ID)
		return w.writeSteps(ctx, u, b, i)
	})
}

func (w *run) writeSteps(ctx context.Context, u *unit, b *bench, upTo int) error {
	have, err := u.Steps(ctx, w.id)
	if err != nil {
		return err
	}
	for j := 0; j <= upTo && j < len(have); j++ {
		if have[j].Status == StepDone && b.records[j].Status == StepDone {
			continue
		}
		if err := u.UpdateStep(ctx, w.id, b.records[j]); err != nil {
			return err
		}
	}
	return nil
}

func (w *run) prepare(ctx context.Context) (*bench, error) {
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
	if b.provider, err = w.s.provider(b.tenant.Backend.Provider); err != nil {
		return nil, err
	}
	if b.creds, err = w.s.openCredentials(b.tenant); err != nil {
		return nil, err
	}
	cat := w.s.Catalog() // once: it may be read again meanwhile
	if b.steps, err = planSteps(cat, w.req.Features, b.provider.Dialect()); err != nil {
		return nil, err
	}
	same := slices.EqualFunc(b.steps, b.records, func(st Step, rec StepRecord) bool { return st.Name == rec.Name })
	if !same { // the hub was restarted with another catalog in the middle of this request
		err = w.update(ctx, func(u *unit, r *Request) error {
			if err := w.putSteps(ctx, u, r, b.steps); err != nil {
				return err
			}
			b.records, err = u.Steps(ctx, r.ID)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	b.id = w.s.identity(b.tenant.ID, b.tenant.Backend.Generation, cat.Version)
	return b, nil
}

// identity makes the sealed row of a tenant's database.
func (s *Service) identity(tenantID string, generation int64, catalogVersion string) Identity {
	id := Identity{TenantID: tenantID, Generation: generation, CatalogVersion: catalogVersion}
	id.MAC = hex.EncodeToString(s.vault.MAC("tenant-identity", fmt.Appendf(nil, "%s\n%d\n%s", tenantID, generation, catalogVersion)))
	return id
}

// How a passing trouble is tried again: three tries with a doubling pause and jitter, so that many tenants do not come back in step.
const (
	maxTries   = 3
	firstPause = 200 * time.Millisecond
)

func (w *run) attempt(ctx context.Context, b *bench, st Step, rec *StepRecord) error {
	pause := firstPause
	for {
		rec.Tries++
		err := w.perform(ctx, b, st)
		var se *StepError
		if err == nil || ctx.Err() != nil || !errors.As(err, &se) || se.Class != ClassNetwork || rec.Tries%maxTries == 0 {
			return err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause)) //nolint:gosec // jitter needs no secrecy
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		pause *= 2
	}
}

// perform runs one step. Each may be repeated after a crash at any point.
func (w *run) perform(ctx context.Context, b *bench, st Step) error {
	d := b.provider.Dialect()
	switch st.Kind {
	case StepCreate:
		return w.create(ctx, b)
	case StepIdentity:
		return w.s.tenantDB.Identify(ctx, b.db, d, b.id)
	case StepMigrate, StepSeed:
		return w.s.tenantDB.Apply(ctx, b.db, d, st)
	case StepCheck:
		return w.s.tenantDB.Check(ctx, b.db, d, st)
	case StepProbe:
		return w.probe(ctx, b)
	}
	return fmt.Errorf("step %s has the unknown kind %q", st.Name, st.Kind)
}

func (w *run) create(ctx context.Context, b *bench) error {
	d := b.provider.Dialect()
	tpl := Template{Key: TemplateKey(d, b.steps), Build: func(ctx context.Context, db *sql.DB) error {
		for _, st := range b.steps {
			if st.InLedger() {
				if err := w.s.tenantDB.Apply(ctx, db, d, st); err != nil {
					return err
				}
			}
		}
		return nil
	}}
	if b.db != nil { // an earlier try got as far as opening it
		if err := b.db.Close(); err != nil {
			return err
		}
		b.db = nil
	}
	if err := w.settle(ctx, b); err != nil {
		return err
	}
	if err := b.provider.Create(ctx, b.tenant.Backend, b.creds, tpl); err != nil {
		return err
	}
	db, err := b.provider.Open(ctx, b.tenant.Backend, b.creds, RoleOwner)
	if err != nil {
		return err
	}
	b.db = db
	id, found, err := w.s.tenantDB.ReadIdentity(ctx, db, d)
	if err != nil {
		return err
	}
	if found && !w.s.owns(b.tenant, id) {
		return notOurs(b.tenant)
	}
	b.ledger, err = w.s.tenantDB.Ledger(ctx, db, d)
	return err
}

// settle makes the sealed credentials those of the hub that makes the database, before it does: the customer must be given the place where
// it is, not where another hub would have put it.
func (w *run) settle(ctx context.Context, b *bench) error {
	m, ok := b.provider.(Mover)
	if !ok {
		return nil
	}
	here, err := m.Here(b.tenant.Backend)
	if err != nil || here.URL == b.creds.URL {
		return err
	}
	return w.update(ctx, func(u *unit, r *Request) error {
		t, err := u.LockTenant(ctx, r.TenantID)
		if err != nil {
			return err
		}
		if err := w.s.sealCredentials(t, here); err != nil {
			return err
		}
		if err := u.UpdateTenant(ctx, t); err != nil {
			return err
		}
		b.tenant, b.creds = t, here
		return u.audit(ctx, HubActor(), "tenant.settle", t.ID, nil)
	})
}

// owns reports whether the identity is this tenant's and was sealed by this hub.
func (s *Service) owns(t *Tenant, id Identity) bool {
	want := s.identity(t.ID, t.Backend.Generation, id.CatalogVersion)
	return id.TenantID == want.TenantID && id.Generation == want.Generation && id.MAC == want.MAC
}

func notOurs(t *Tenant) error {
	return &StepError{Class: ClassData, Code: "IDENTITY_MISMATCH", Err: fmt.Errorf("the database at %s says that it belongs to another tenant; it was not touched", t.Backend.Place)}
}

// ownOrNone refuses a database whose identity is not the tenant's; none at all, or one that was begun and has no identity yet, is fine.
func (s *Service) ownOrNone(ctx context.Context, p Provider, t *Tenant, c Credentials) error {
	db, err := p.Open(ctx, t.Backend, c, RoleOwner)
	if se := (*StepError)(nil); errors.As(err, &se) && se.Class == ClassData {
		return nil // no database, or one that never became one: dropping what is there harms nobody
	}
	if err != nil {
		return err // it cannot be looked at now, so nobody knows whose it is
	}
	id, found, err := s.tenantDB.ReadIdentity(ctx, db, p.Dialect())
	if cerr := db.Close(); err == nil {
		err = cerr
	}
	if err == nil && found && !s.owns(t, id) {
		return notOurs(t)
	}
	return err
}

func (w *run) probe(ctx context.Context, b *bench) error {
	db, err := b.provider.Open(ctx, b.tenant.Backend, b.creds, RoleTenant)
	if err != nil {
		return err
	}
	err = w.s.tenantDB.Probe(ctx, db, b.provider.Dialect(), b.id, b.steps)
	if cerr := db.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		b.tenant.SizeBytes, err = b.provider.Size(ctx, b.tenant.Backend, b.creds)
	}
	return err
}

func (w *run) complete(ctx context.Context, b *bench) error {
	return w.update(ctx, func(u *unit, r *Request) error {
		if err := w.writeSteps(ctx, u, b, len(b.steps)-1); err != nil {
			return err
		}
		now := u.Now()
		t, err := u.LockTenant(ctx, r.TenantID)
		if err != nil {
			return err
		}
		t.State, t.ReadyAt, t.SizeBytes, t.CatalogVersion = TenantActive, &now, b.tenant.SizeBytes, b.id.CatalogVersion
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
