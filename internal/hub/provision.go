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
	db       *sql.DB  // as owner; nil until the database exists
	sealed   Identity // what it said when it was opened
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
