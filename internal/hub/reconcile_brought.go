package hub

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	// broughtAtOnce is how many databases that were brought are looked into side by side: they are on many servers, and one that is away takes
	// its time to be found away.
	broughtAtOnce = 8
	// broughtWithin bounds the look into one.
	broughtWithin = 15 * time.Second

	// noDatabase is with what a Postgres server says that it has no database of this name (SQLSTATE).
	noDatabase = "3D000"
)

// readBrought looks into the databases that operators have brought, with the credentials on record. What else is on those servers is not the
// hub's to list, so no orphan is found there: only whether each database is there and bears its tenant's seal.
func (s *Service) readBrought(ctx context.Context, out *Reconciliation, rec *records, progress func(done, total int)) {
	var ts []*Tenant
	for _, t := range rec.tenants {
		if _, brought := s.providers[t.Backend.Provider].(Bringer); brought && t.State.kept() {
			ts = append(ts, t)
		}
	}
	slices.SortFunc(ts, func(x, y *Tenant) int { return compareText(x.ID, y.ID) })
	found, errs := make([]Finding, len(ts)), make([]error, len(ts))
	var mu sync.Mutex
	var all sync.WaitGroup
	room, done := make(chan struct{}, broughtAtOnce), 0
	for i, t := range ts {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			found[i], errs[i] = s.lookIntoBrought(ctx, t)
			if progress != nil {
				mu.Lock()
				defer mu.Unlock()
				done++
				progress(done, len(ts))
			}
		})
	}
	all.Wait()
	for i, x := range found {
		switch {
		case errs[i] != nil:
			out.Unknown = append(out.Unknown, ts[i].Backend.Place+": "+errs[i].Error())
			continue
		case x.Kind != Ghost:
			out.Seals++
		}
		if x.Kind != "" {
			out.Findings = append(out.Findings, x)
		}
	}
}

// lookIntoBrought gives what is wrong with a database that was brought; its kind is empty when that is nothing, also when the tenant has come to
// another state since.
func (s *Service) lookIntoBrought(ctx context.Context, t *Tenant) (Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, broughtWithin)
	defer cancel()
	kind, problem, fix, err := s.lookInside(ctx, t)
	if err == nil && kind == "" {
		return Finding{}, nil
	}
	now, rerr := view(context.WithoutCancel(ctx), s, func(tx Tx) (*Tenant, error) { return tx.Tenant(ctx, t.ID) })
	switch {
	case rerr == nil && (now.State != t.State || now.Backend != t.Backend):
		return Finding{}, nil
	case err != nil:
		return Finding{}, err
	}
	return Finding{Kind: kind, What: FoundDatabase, Provider: t.Backend.Provider, Place: t.Backend.Place, Tenant: t.ID, Problem: problem, Fix: fix}, rerr
}

func (s *Service) lookInside(ctx context.Context, t *Tenant) (kind, problem, fix string, err error) {
	c, err := s.openCredentials(t)
	if err != nil {
		return "", "", "", err
	}
	p := s.providers[t.Backend.Provider]
	db, err := p.Open(ctx, t.Backend, c, RoleTenant)
	var refused *StepError
	switch {
	case errors.As(err, &refused) && refused.Code == noDatabase:
		return Ghost, "The tenant is " + string(t.State) + ", but its server has no such database.", "Find out who removed or renamed it; the hub has no copy.", nil
	case err != nil:
		return "", "", "", err
	}
	id, found, err := s.tenantDB.ReadIdentity(ctx, db, p.Dialect())
	if err = errors.Join(err, db.Close()); err != nil {
		return "", "", "", err
	}
	if problem, fix = s.wrongSeal(t, id, found); problem != "" {
		kind = Mismatch
	}
	return kind, problem, fix, nil
}
