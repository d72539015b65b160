package hub

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// doDuty claims and does one duty. memberErr is the trouble that the member met and has been written down with it; err is the hub's own.
func (s *Service) doDuty(ctx context.Context, d duty, w want, policyAt time.Time) (memberErr, err error) {
	m, err := s.claimMember(ctx, d, w, policyAt)
	if err != nil || m == nil {
		return nil, err
	}
	defer s.pool.leave(m)
	bg := s.pool.provider.Background(ctx)
	step := StepRecord{Name: "discard"}
	if d.remove {
		memberErr = s.discardMember(bg, m)
	} else {
		step.Name, memberErr = s.prepareMember(bg, m, w)
	}
	if memberErr == nil {
		err = s.settleMember(ctx, m, func(u *unit, row *Member) error {
			if d.remove {
				return u.DeleteMember(ctx, row.ID)
			}
			now := u.Now()
			row.State, row.ReadyAt, row.Worker, row.Failure = MemberReady, &now, "", nil
			return u.UpdateMember(ctx, row)
		})
		return nil, err
	}
	f := explain(step, memberErr)
	if ctx.Err() == nil {
		s.log.WarnContext(ctx, "a member of the pool could not be made or removed; it is tried again", "member", m.ID, "plan", m.Plan,
			"step", f.Step, "class", f.Class, "code", f.Code, "error", memberErr)
		s.meter.PoolFailed(m.Plan, f.Class)
	}
	letGo, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second) // so that another can take it up at once
	defer cancel()
	return memberErr, s.settleMember(letGo, m, func(u *unit, row *Member) error {
		row.Worker = ""
		if ctx.Err() == nil {
			row.Failure = f
		}
		return u.UpdateMember(letGo, row)
	})
}

// claimMember takes hold of a member, or writes the intent of a new one. Nil: somebody else was first.
func (s *Service) claimMember(ctx context.Context, d duty, w want, policyAt time.Time) (*Member, error) {
	var entered []*Member // by each run of the transaction
	m, err := mutate(ctx, s, func(u *unit) (*Member, error) {
		claim := s.holdMember
		if d.member == nil {
			claim = s.planMember
		}
		m, err := claim(ctx, u, d, w, policyAt)
		if err == nil && m != nil {
			s.pool.enter(m)
			entered = append(entered, m)
		}
		return m, err
	})
	for _, x := range entered { // also when nobody knows whether it was committed: then the next look finds a hold without anybody at it
		if m == nil || x.ID != m.ID {
			s.pool.leave(x)
		}
	}
	return m, err
}

func (s *Service) holdMember(ctx context.Context, u *unit, d duty, w want, policyAt time.Time) (*Member, error) {
	m, err := u.LockMember(ctx, d.member.ID)
	if IsCode(err, CodeNotFound) {
		return nil, nil
	}
	if err != nil || m.Fence != d.member.Fence || m.State != d.member.State {
		return nil, err
	}
	m.Worker, m.State, m.ReadyAt, m.PolicyAt = s.instance, MemberPreparing, nil, policyAt
	m.Fence++
	if d.remove {
		m.State = MemberDiscarding
	} else {
		m.CatalogVersion = w.version
	}
	return m, u.UpdateMember(ctx, m)
}

func (s *Service) planMember(ctx context.Context, u *unit, d duty, w want, policyAt time.Time) (*Member, error) {
	id := NewID(MemberPrefix, u.Now())
	b, c, err := s.pool.provider.Plan(ctx, id, memberGeneration)
	if err != nil {
		return nil, err
	}
	m := &Member{
		ID: id, Plan: d.plan, Slot: d.slot, Key: w.key, CatalogVersion: w.version, State: MemberPreparing, Backend: b, SecretVersion: 1,
		Worker: s.instance, Fence: 1, PolicyAt: policyAt, CreatedAt: u.Now(),
	}
	if m.Sealed, err = s.seal(c, m.ID, m.SecretVersion); err != nil {
		return nil, err
	}
	if ok, err := u.InsertMember(ctx, m); err != nil || !ok {
		return nil, err
	}
	return m, nil
}

// settleMember changes the member's row if we still hold it.
func (s *Service) settleMember(ctx context.Context, m *Member, change func(*unit, *Member) error) error {
	_, err := mutate(ctx, s, func(u *unit) (struct{}, error) {
		row, err := u.LockMember(ctx, m.ID)
		if IsCode(err, CodeNotFound) {
			return struct{}{}, nil
		}
		if err != nil || row.Fence != m.Fence {
			return struct{}{}, err
		}
		return struct{}{}, change(u, row)
	})
	return err
}

// prepareMember makes the database and does everything with it that does not depend on whose it will be: the catalog's steps and checks by the
// template, and the probe as the tenant's own role. On an error it names the step.
func (s *Service) prepareMember(ctx context.Context, m *Member, w want) (step string, err error) {
	p := s.pool.provider
	c, err := s.openMember(m)
	if err != nil {
		return "create", err
	}
	copied, err := p.Prepare(ctx, m.Backend, c, s.template(p.Dialect(), w.steps))
	if err != nil {
		return "create", err
	}
	id := s.memberIdentity(m.ID, w.version)
	step, err = s.furnishMember(ctx, m, c, w, id, copied)
	if err != nil {
		return step, err
	}
	db, err := p.Open(ctx, m.Backend, c, RoleTenant)
	if err != nil {
		return "probe", err
	}
	if m.Slot == 0 { // of one of each plan, so that an open door shows before a customer comes; of each it is asked when it is handed over
		err = s.try(ctx, p, db, m.Backend, id, w.steps)
	} else {
		err = s.tenantDB.Probe(ctx, db, p.Dialect(), id, w.steps)
	}
	return "probe", errors.Join(err, db.Close())
}

// furnishMember seals a member and does what the template did not bring: everything, unless it was copied just now. The checks passed on the
// template then, and the probe, which comes after, looks whether the ledger is whole.
func (s *Service) furnishMember(ctx context.Context, m *Member, c Credentials, w want, id Identity, copied bool) (step string, err error) {
	p, d := s.pool.provider, s.pool.provider.Dialect()
	db, err := p.Open(ctx, m.Backend, c, RoleOwner)
	if err != nil {
		return "create", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if copied {
		return "identity", s.tenantDB.Identify(ctx, db, d, id)
	}
	ledger, err := s.tenantDB.Ledger(ctx, db, d)
	if err != nil {
		return "create", err
	}
	for _, st := range w.steps {
		if st.InLedger() && ledger[st.Name] == st.Source.Checksum {
			continue // the template brought it
		}
		if err := s.memberStep(ctx, db, d, st, id); err != nil {
			return st.Name, err
		}
	}
	return "", nil
}

// memberStep does a step that works on the owner's connection.
func (s *Service) memberStep(ctx context.Context, db *sql.DB, d Dialect, st Step, id Identity) error {
	switch st.Kind {
	case StepIdentity:
		return s.tenantDB.Identify(ctx, db, d, id) // refuses a database that says another
	case StepMigrate, StepSeed:
		return s.tenantDB.Apply(ctx, db, d, st)
	case StepCheck:
		return s.tenantDB.Check(ctx, db, d, st)
	}
	return nil // create came before, the probe comes after
}

// discardMember removes a member's database, after a look at its seal.
func (s *Service) discardMember(ctx context.Context, m *Member) error {
	c, err := s.openMember(m)
	if err != nil {
		return err
	}
	owned := func(id Identity) bool { return id == s.memberIdentity(m.ID, id.CatalogVersion) }
	if err := s.sealedFor(ctx, s.pool.provider, m.Backend, c, owned); err != nil {
		return err
	}
	return s.pool.provider.Discard(ctx, m.Backend, c)
}
