package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ReconcileMode says what is done about what is found.
type ReconcileMode string

// The modes. All but the first also remove what was half made and forget what the pool lost: that is nobody's, surely.
const (
	ReconcileDryRun     ReconcileMode = "dry-run"    // nothing
	ReconcileAdopt      ReconcileMode = "adopt"      // what can be given back to a tenant on record is
	ReconcileQuarantine ReconcileMode = "quarantine" // orphans are shut, and nothing is lost
	ReconcileDrop       ReconcileMode = "drop"       // orphans are removed
	reconcileTidy       ReconcileMode = "tidy"       // the periodic scan: only what is surely nobody's
)

// secondLook is how long after the first the second look comes: longer than anything that is between a provider and its rows takes, as a
// hand-over, and short for a person who waits.
const secondLook = 500 * time.Millisecond

// ReconcileOptions say how to reconcile.
type ReconcileOptions struct {
	Mode     ReconcileMode
	Seals    bool                  // also look into every tenant's database, those that were brought too, whether its seal is the tenant's
	Progress func(done, total int) // of reading the seals, for each kind of database from 1; nil: nobody asks
}

// Reconcile holds what is at the providers against what is on record and mends what it is asked to. Several may run at once, and beside any
// other work: each thing is looked at anew, under its lock, before it is touched. Admins only.
//
// Errors: CodeForbidden, those of the hub's own database, the end of ctx. What could not be looked at or done is in the result.
func (s *Service) Reconcile(ctx context.Context, a Actor, o ReconcileOptions) (*Reconciliation, error) {
	if err := mayAdminister(a); err != nil {
		return nil, err
	}
	return s.reconcile(ctx, a, o, s.reconcilers(true))
}

// reconcilers gives the providers that can be surveyed. What lies with each hub each looks after itself; what all share one does at a time.
func (s *Service) reconcilers(shared bool) (list []Reconciler) {
	for _, name := range slices.Sorted(slices.Values(s.ProviderNames())) {
		if p, ok := s.providers[name].(Reconciler); ok {
			if _, local := p.(Mover); local || shared {
				list = append(list, p)
			}
		}
	}
	return list
}

func (s *Service) reconcile(ctx context.Context, a Actor, o ReconcileOptions, ps []Reconciler) (*Reconciliation, error) {
	out, at, err := s.lookAround(ctx, ps)
	if err != nil {
		return nil, err
	}
	if len(out.Findings) > 0 {
		timer := time.NewTimer(secondLook)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer.C:
		}
		first := map[[5]string]bool{}
		for i := range out.Findings {
			first[out.Findings[i].key()] = true
		}
		if out, at, err = s.lookAround(ctx, ps); err != nil {
			return nil, err
		}
		out.Findings = slices.DeleteFunc(out.Findings, func(f Finding) bool { return !first[f.key()] })
	}
	if o.Seals {
		s.readSeals(ctx, out, at, o.Progress)
		s.readBrought(ctx, out, at.rec, o.Progress)
	}
	for i := range out.Findings {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if x := &out.Findings[i]; x.mend != byPeople {
			s.mend(ctx, a, o.Mode, at.of(x.Provider), x)
		}
	}
	return out, nil
}

// surroundings is what one look saw.
type surroundings struct {
	providers []Reconciler
	rec       *records
	whole     map[[2]string]Found // finished databases by provider and place
}

func (a *surroundings) of(provider string) Reconciler {
	i := slices.IndexFunc(a.providers, func(p Reconciler) bool { return p.Name() == provider })
	return a.providers[i]
}

// lookAround surveys the providers and then reads the rows, in this order.
func (s *Service) lookAround(ctx context.Context, ps []Reconciler) (*Reconciliation, *surroundings, error) {
	out := &Reconciliation{}
	at := &surroundings{providers: ps, whole: map[[2]string]Found{}}
	surveys := make([]Survey, len(ps))
	for i, p := range ps {
		var err error
		if surveys[i], err = p.Survey(ctx); err != nil {
			if ctx.Err() != nil {
				return nil, nil, ctx.Err()
			}
			out.Unknown = append(out.Unknown, p.Name()+": "+err.Error())
		}
		out.Seen += len(surveys[i].Found)
		for _, f := range surveys[i].Found {
			if f.Kind == FoundDatabase && f.State == FoundWhole {
				at.whole[[2]string{f.Provider, f.Place}] = f
			}
		}
	}
	var err error
	if at.rec, err = s.records(ctx); err != nil {
		return nil, nil, err
	}
	out.AsOf = at.rec.now
	out.Rows = len(at.rec.tenants) + len(at.rec.members)
	for i, p := range ps {
		out.Findings = append(out.Findings, s.inspect(p, surveys[i], at.rec)...)
	}
	slices.SortFunc(out.Findings, func(x, y Finding) int {
		kx, ky := x.key(), y.key()
		return slices.Compare(kx[:], ky[:])
	})
	return out, at, nil
}

// readSeals looks into the database of every tenant that has one, and of every orphan that may be removed only with the right seal.
func (s *Service) readSeals(ctx context.Context, out *Reconciliation, at *surroundings, progress func(done, total int)) {
	var ts []*Tenant
	for _, t := range at.rec.tenants {
		f, there := at.whole[[2]string{t.Backend.Provider, t.Backend.Place}]
		if there && t.State.kept() && f.Owner.TenantID == t.ID {
			ts = append(ts, t)
		}
	}
	slices.SortFunc(ts, func(x, y *Tenant) int { return compareText(x.ID, y.ID) })
	s.readOrphans(ctx, out, at)
	for i, t := range ts {
		if ctx.Err() != nil {
			return
		}
		f := at.whole[[2]string{t.Backend.Provider, t.Backend.Place}]
		if id, found, err := s.peek(ctx, at.of(f.Provider), f); err != nil {
			out.Unknown = append(out.Unknown, t.Backend.Place+": "+err.Error())
		} else {
			out.Seals++
			if problem, fix := s.wrongSeal(t, id, found); problem != "" {
				out.Findings = append(out.Findings, Finding{
					Kind: Mismatch, What: FoundDatabase, Provider: f.Provider, Place: f.Place, Name: f.Name, Tenant: t.ID, Problem: problem, Fix: fix, found: f,
				})
			}
		}
		if progress != nil {
			progress(i+1, len(ts))
		}
	}
}

// wrongSeal says what is wrong with the seal in a tenant's database, and the next step; nothing if it is the tenant's.
func (s *Service) wrongSeal(t *Tenant, id Identity, found bool) (problem, fix string) {
	const leave = "Find out whose the data is; the hub does not touch it."
	switch {
	case !found:
		return "It bears no seal.", "Find out who removed it, and whose the data is."
	case s.owns(t, id):
		return "", ""
	case id.TenantID == t.ID && id.Generation == t.Backend.Generation:
		return "The seal inside names the tenant, but was not made by this hub.", leave
	}
	return fmt.Sprintf("The seal inside says tenant %s, generation %d.", id.TenantID, id.Generation), leave
}

// readOrphans finds out which orphans the hub will refuse to touch, so that nobody is sent to do what cannot be done.
func (s *Service) readOrphans(ctx context.Context, out *Reconciliation, at *surroundings) {
	for i := range out.Findings {
		x := &out.Findings[i]
		if ctx.Err() != nil {
			return
		}
		if x.mend != byRemoval || !x.sealing {
			continue
		}
		err := s.ours(ctx, at.of(x.Provider), x)
		var refused *StepError
		switch {
		case errors.As(err, &refused) && refused.Code == identityMismatch:
			x.Quarantined = false // whoever can reach it: it waits for somebody to look, not for a decision to drop it
			x.Problem = strings.TrimSuffix(x.Problem, ".") + "; " + refused.Err.Error() + "."
			x.Fix = "Look by hand: hold the row in its table kitshub_identity against its marker, " + at.markerOf(x.Provider) +
				", and find out whose the data is. --quarantine and --drop refuse it; drop it by hand if it is nobody's."
		case err != nil:
			out.Unknown = append(out.Unknown, x.Place+": "+err.Error())
		}
	}
}

// markerOf says what a provider's databases carry for a marker.
func (a *surroundings) markerOf(provider string) string {
	if _, local := a.of(provider).(Mover); local {
		return "the file's name"
	}
	return "the database's comment"
}

func compareText(x, y string) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// peek reads the seal of a database without its credentials.
func (s *Service) peek(ctx context.Context, p Reconciler, f Found) (id Identity, found bool, err error) {
	db, err := p.Peek(ctx, f)
	if err != nil {
		return id, false, err
	}
	id, found, err = s.tenantDB.ReadIdentity(ctx, db, p.Dialect())
	return id, found, errors.Join(err, db.Close())
}

// mend does what the mode allows about one finding and says in it what was done or why not.
func (s *Service) mend(ctx context.Context, a Actor, mode ReconcileMode, p Reconciler, x *Finding) {
	var act func() error
	var done string
	whole := x.found.State == FoundWhole
	switch {
	case mode == ReconcileDryRun:
		return
	case x.mend == byForgetting:
		done, act = "forgotten", func() error { return s.forgetMember(ctx, p, x.found.Owner) }
	case x.mend == byRemoval && (x.surely || mode == ReconcileDrop):
		done, act = "dropped", func() error { return p.Drop(ctx, x.found.Owner, Credentials{}) }
		if x.found.Owner.TenantID == "" {
			done, act = "removed", func() error { return p.Clear(ctx, x.found) }
		}
	case x.mend == byRemoval && mode == ReconcileQuarantine && whole && !x.Quarantined:
		done, act = "quarantined", func() error { return p.Quarantine(ctx, x.found.Owner) }
	case x.mend == byAdoption && mode == ReconcileAdopt && x.What == FoundLogin:
		done, act = "adopted", func() error { return s.letIn(ctx, p, x) }
	case x.mend == byAdoption && mode == ReconcileAdopt:
		done, act = "adopted", func() error { return s.relocate(ctx, a, p, x) }
	case x.mend == byRenaming && mode == ReconcileAdopt:
		done, act = "adopted", func() error { return s.rename(ctx, p, x) }
	default:
		return
	}
	err := s.ours(ctx, p, x)
	if err == nil {
		err = s.noteMending(ctx, a, x, done, nil)
	}
	if err == nil {
		if err = act(); err != nil {
			err = errors.Join(err, s.noteMending(ctx, a, x, done, err))
		}
	}
	if err != nil {
		x.Error = err.Error()
		return
	}
	x.Done = done
}

// ours refuses a finished database whose seal is not this hub's or not that of whom its marker names. One that was never sealed has its marker
// alone to say whose it is, which nobody but the hub can write; a file has none.
func (s *Service) ours(ctx context.Context, p Reconciler, x *Finding) error {
	if !x.sealing || x.found.State != FoundWhole {
		return nil
	}
	id, found, err := s.peek(ctx, p, x.found)
	if err != nil {
		return err
	}
	owner := x.found.Owner
	if _, local := p.(Mover); !found && local {
		return &StepError{Class: ClassData, Code: identityMismatch, Err: errors.New("a file has no marker but its name, and this one bears no seal; it was not touched")}
	}
	if !found {
		return nil
	}
	if id.TenantID == owner.TenantID && id.Generation == owner.Generation && id.MAC == s.identity(id.TenantID, id.Generation, id.CatalogVersion).MAC {
		return nil
	}
	return &StepError{Class: ClassData, Code: identityMismatch, Err: fmt.Errorf(
		"the seal inside says %s, generation %d, and the marker %s, generation %d, or the seal is another hub's; it was not touched", id.TenantID, id.Generation, owner.TenantID, owner.Generation)}
}

// noteMending puts on record what is about to be done, and then, if so, that it could not be.
func (s *Service) noteMending(ctx context.Context, a Actor, x *Finding, what string, failure error) error {
	target := x.Tenant
	if target == "" {
		target = x.Name
	}
	detail := map[string]any{"finding": x.Kind, "what": string(x.What), "provider": x.Provider, "place": x.Place, "name": x.Name}
	action := "reconcile." + what
	if failure != nil {
		action += ".failed"
		detail["error"] = failure.Error()
	}
	_, err := mutate(ctx, s, func(u *unit) (struct{}, error) { return struct{}{}, u.audit(ctx, a, action, target, detail) })
	return err
}

// letIn opens the logins of an active tenant, and makes those that are missing, when the database bears its seal.
func (s *Service) letIn(ctx context.Context, p Reconciler, x *Finding) error {
	t, err := s.sealedOwner(ctx, p, x)
	if err != nil {
		return err
	}
	if t.State != TenantActive {
		return E(CodeInvalidTransition, "The tenant is "+string(t.State)+" now.", "Look again.")
	}
	c, err := s.openCredentials(t)
	if err != nil {
		return err
	}
	return p.Release(ctx, t.Backend, c)
}

// rename gives a tenant's database the name of its place back, and an active tenant its logins where they were lost or shut meanwhile.
func (s *Service) rename(ctx context.Context, p Reconciler, x *Finding) error {
	t, err := s.sealedOwner(ctx, p, x)
	if err != nil {
		return err
	}
	if t.State == TenantPurged {
		return E(CodeInvalidTransition, "The tenant is "+string(t.State)+" now.", "Look again.")
	}
	if err := p.(Renamer).Rename(ctx, x.found, t.Backend); err != nil { //nolint:forcetypeassert // byRenaming says so
		return err
	}
	if t.State != TenantActive {
		return nil
	}
	c, err := s.openCredentials(t)
	if err != nil {
		return err
	}
	return p.Release(ctx, t.Backend, c)
}

// sealedOwner gives the tenant as it is now whom the found database's marker names, when the seal inside is that tenant's.
func (s *Service) sealedOwner(ctx context.Context, p Reconciler, x *Finding) (*Tenant, error) {
	id, found, err := s.peek(ctx, p, x.found)
	if err != nil {
		return nil, err
	}
	t, err := view(ctx, s, func(tx Tx) (*Tenant, error) { return tx.Tenant(ctx, x.found.Owner.TenantID) })
	if err != nil {
		return nil, err
	}
	if !found || !s.owns(t, id) {
		return nil, unsealed()
	}
	return t, nil
}

func unsealed() error {
	return &StepError{Class: ClassData, Code: identityMismatch, Err: errors.New("the database bears no seal of this tenant; it was not touched")}
}

// relocate corrects a record at whose place nothing is, when the seal at the found place is the tenant's.
func (s *Service) relocate(ctx context.Context, a Actor, p Reconciler, x *Finding) error {
	id, found, err := s.peek(ctx, p, x.found)
	if err != nil {
		return err
	}
	_, err = mutate(ctx, s, func(u *unit) (struct{}, error) {
		t, err := u.LockTenant(ctx, x.found.Owner.TenantID)
		if err != nil {
			return struct{}{}, err
		}
		if !found || !s.owns(t, id) {
			return struct{}{}, unsealed()
		}
		detail := map[string]any{"from": t.Backend.Place, "to": x.found.Place}
		t.Backend.Place = x.found.Place
		if err := u.UpdateTenant(ctx, t); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, u.audit(ctx, a, "tenant.relocate", t.ID, detail)
	})
	return err
}

// forgetMember takes a member whose database is gone off the pool, with the logins that are left of it; the pool makes another.
func (s *Service) forgetMember(ctx context.Context, p Reconciler, b Backend) error {
	change := func(f func(*unit, *Member) error) error {
		_, err := mutate(ctx, s, func(u *unit) (struct{}, error) {
			m, err := u.LockMember(ctx, b.TenantID)
			if IsCode(err, CodeNotFound) {
				return struct{}{}, nil
			}
			if err != nil {
				return struct{}{}, err
			}
			return struct{}{}, f(u, m)
		})
		return err
	}
	// Nobody is given it any more from here on, and if this hub dies the pool's keeper ends what it began.
	var begun bool
	err := change(func(u *unit, m *Member) error {
		if begun = m.State == MemberReady; !begun {
			return nil
		}
		m.State = MemberDiscarding
		return u.UpdateMember(ctx, m)
	})
	if err != nil || !begun {
		return err
	}
	if err := p.Drop(ctx, b, Credentials{}); err != nil {
		return err
	}
	return change(func(u *unit, m *Member) error { return u.DeleteMember(ctx, m.ID) })
}
