package hub

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// identity makes the sealed row of a tenant's database.
func (s *Service) identity(tenantID string, generation int64, catalogVersion string) Identity {
	id := Identity{TenantID: tenantID, Generation: generation, CatalogVersion: catalogVersion}
	id.MAC = hex.EncodeToString(s.vault.MAC("tenant-identity", fmt.Appendf(nil, "%s\n%d\n%s", tenantID, generation, catalogVersion)))
	return id
}

// How a passing trouble is tried again: three tries with a doubling pause and jitter, so that many tenants do not come back in step. A run that
// is itself a retry by the hub tries once: the next one is due anyway, and a server that says nothing would hold up the others for longer.
const (
	maxTries   = 3
	firstPause = 200 * time.Millisecond
)

func (w *run) attempt(ctx context.Context, b *bench, st Step, rec *StepRecord) error {
	pause, left := firstPause, maxTries
	if f := w.written().Failure; f != nil && f.Retries > 0 {
		left = 1
	}
	for {
		rec.Tries++
		left--
		err := w.perform(ctx, b, st)
		var se *StepError
		if err == nil || ctx.Err() != nil || !errors.As(err, &se) || se.Class != ClassNetwork || left == 0 {
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
		if b.tenant.Member != "" && b.sealed.TenantID == b.tenant.Member {
			return w.s.tenantDB.Reseal(ctx, b.db, d, b.sealed, b.id)
		}
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
	if err := b.close(); err != nil { // an earlier try got as far as opening it
		return err
	}
	if err := w.settle(ctx, b); err != nil {
		return err
	}
	if err := w.open(ctx, b, w.s.template(d, b.steps)); err != nil {
		return err
	}
	db := b.db
	id, found, err := w.s.tenantDB.ReadIdentity(ctx, db, d)
	if err != nil {
		return err
	}
	if found && !w.s.owns(b.tenant, id) {
		return notOurs(b.tenant.Backend)
	}
	b.sealed = id
	b.ledger, err = w.s.tenantDB.Ledger(ctx, db, d)
	return err
}

// open makes the database and connects to it. One of the pool is there already, so it is connected to as owner and as tenant while it is handed
// over: a new session takes the server longer than everything that is done in it.
func (w *run) open(ctx context.Context, b *bench, t Template) (err error) {
	as := func(r Role) (*sql.DB, error) { return b.provider.Open(ctx, b.tenant.Backend, b.creds, r) }
	if b.tenant.Member == "" {
		if err := b.provider.Create(ctx, b.tenant.Backend, b.creds, t); err != nil {
			return err
		}
		b.db, err = as(RoleOwner)
		return err
	}
	var opening sync.WaitGroup
	var ownerErr, tenantErr error
	opening.Go(func() { b.db, ownerErr = as(RoleOwner) })
	opening.Go(func() { b.asTenant, tenantErr = as(RoleTenant) })
	err = b.provider.Create(ctx, b.tenant.Backend, b.creds, t)
	opening.Wait()
	if err = cmp.Or(err, ownerErr, tenantErr); err != nil {
		return errors.Join(err, b.close())
	}
	return nil
}

// close closes what is open.
func (b *bench) close() (err error) {
	for _, db := range []**sql.DB{&b.db, &b.asTenant} {
		if *db != nil {
			err = errors.Join(err, (*db).Close())
			*db = nil
		}
	}
	return err
}

// template is a finished and checked database of these steps.
func (s *Service) template(d Dialect, steps []Step) Template {
	return Template{Key: ContentKey(d, steps), Build: func(ctx context.Context, db *sql.DB) error {
		for _, st := range steps {
			var err error
			switch {
			case st.InLedger():
				err = s.tenantDB.Apply(ctx, db, d, st)
			case st.Kind == StepCheck:
				err = s.tenantDB.Check(ctx, db, d, st)
			}
			if err != nil {
				return catalogs(err)
			}
		}
		return nil
	}}
}

// catalogs lays what a statement of the catalog met in a template at the catalog's door, a row that a check found and a right that is missing
// alike: nobody else has put anything there, and the same would come of it each time.
func catalogs(err error) error {
	se := (*StepError)(nil)
	if !errors.As(err, &se) || se.File == "" || (se.Class != ClassData && se.Class != ClassAuth) {
		return err
	}
	theirs := *se
	theirs.Class = ClassCatalog
	return &theirs
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

// owns reports whether the identity is this tenant's and was sealed by this hub. A database that came out of the pool bears its member's
// until it is resealed, and only the tenant whose row names that member may have it.
func (s *Service) owns(t *Tenant, id Identity) bool {
	return id == s.identity(t.ID, t.Backend.Generation, id.CatalogVersion) ||
		(t.Member != "" && id == s.memberIdentity(t.Member, id.CatalogVersion))
}

// identityMismatch is the code of a database that says it is another tenant's.
const identityMismatch = "IDENTITY_MISMATCH"

func notOurs(b Backend) error {
	return &StepError{Class: ClassData, Code: identityMismatch, Err: fmt.Errorf("the database at %s says that it belongs to another tenant; it was not touched", b.Place)}
}

// ownOrNone refuses a database whose identity is not the tenant's; none at all, or one that was begun and has no identity yet, is fine.
func (s *Service) ownOrNone(ctx context.Context, p Provider, t *Tenant, c Credentials) error {
	return s.sealedFor(ctx, p, t.Backend, c, func(id Identity) bool { return s.owns(t, id) })
}

func (s *Service) sealedFor(ctx context.Context, p Provider, b Backend, c Credentials, owns func(Identity) bool) error {
	db, err := p.Open(ctx, b, c, RoleOwner)
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
	if err == nil && found && !owns(id) {
		return notOurs(b)
	}
	return err
}

func (w *run) probe(ctx context.Context, b *bench) error {
	if b.asTenant == nil {
		var err error
		if b.asTenant, err = b.provider.Open(ctx, b.tenant.Backend, b.creds, RoleTenant); err != nil {
			return err
		}
	}
	var measuring sync.WaitGroup
	var sizeErr error
	measuring.Go(func() { b.tenant.SizeBytes, sizeErr = b.provider.Size(ctx, b.tenant.Backend, b.creds) })
	err := w.s.try(ctx, b.provider, b.asTenant, b.tenant.Backend, b.id, b.steps)
	measuring.Wait()
	return cmp.Or(err, sizeErr)
}

// try does what the tenant's program would, and asks whether the neighbours are kept out and keep this one out. db was opened with RoleTenant.
func (s *Service) try(ctx context.Context, p Provider, db *sql.DB, b Backend, id Identity, applied []Step) error {
	if err := s.tenantDB.Probe(ctx, db, p.Dialect(), id, applied); err != nil {
		return err
	}
	if g, ok := p.(Guard); ok {
		return g.Guarded(ctx, db, b)
	}
	return nil
}
