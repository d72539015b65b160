package hub

import (
	"context"
	"slices"
	"time"
)

// Pooler is a provider that can hold databases ready before anybody asks for them. A member of the pool is a backend under an id of its own,
// which begins with MemberPrefix; Plan plans it as it plans a tenant's. Create on an adopted place hands the member over, Drop on one removes
// it whether that has happened or not. Every method but Adopt may be repeated after a crash at any point of an earlier call.
type Pooler interface {
	Provider

	// Parts gives what the provider consists of, as prefixes of places, and which of these let the hub in as far as it knows: all where none does.
	Parts() (all, open []string)

	// Background marks the context of work that no customer waits for, so that it takes no more than its share of the connections.
	Background(ctx context.Context) context.Context

	// Prepare makes a planned member, as Create does. copied says that this very call made it, as a copy of what t.Build built: so it has been
	// through all steps of the template, and nobody has been in it since.
	Prepare(ctx context.Context, member Backend, c Credentials, t Template) (copied bool, err error)

	// Adopt gives the backend and credentials that a tenant will have when the member becomes its own. It touches nothing.
	Adopt(member Backend, c Credentials, tenantID string, generation int64) (Backend, Credentials, error)

	// Discard removes a member; a missing one is no error, one that was handed over is refused.
	Discard(ctx context.Context, member Backend, c Credentials) error

	// DropUnusedTemplates drops all templates but those with these keys, and says which.
	DropUnusedTemplates(ctx context.Context, keep []string) (dropped []string, err error)
}

// MemberPrefix begins the ids of the pool's members.
const MemberPrefix = "mem_"

// MemberState is how far a member of the pool has come.
type MemberState string

// The states of a member. One that was handed out is none any more: its row goes in the transaction that writes the tenant's.
const (
	MemberPreparing  MemberState = "preparing"  // being made, or brought to the current catalog
	MemberReady      MemberState = "ready"      // probed; never handed out
	MemberDiscarding MemberState = "discarding" // being removed
)

// Member is one database of the warm pool.
type Member struct {
	ID             string
	Plan           string // whose slot it fills; who is given it is decided by Key and CatalogVersion
	Slot           int    // 0 to the pool's size − 1: one member in each
	Key            string // ContentKey of what is in it
	CatalogVersion string // under which it was probed
	State          MemberState
	Backend        Backend
	Sealed         []byte // Credentials, sealed and bound to this member
	SecretVersion  int64
	Worker         string // the hub that is at it, or ""
	Fence          int64  // counts the holds
	Failure        *Failure
	PolicyAt       time.Time // when the hub that made it took up its catalog and settings; what a later hub wants stands
	CreatedAt      time.Time
	ReadyAt        *time.Time
}

// PoolDepth counts a plan's members.
type PoolDepth struct {
	Plan      string
	Ready     int
	Preparing int
}

// PoolStore keeps the pool's members. Errors: CodeNotFound from Member and LockMember, ErrConflict where a row to be changed is gone.
type PoolStore interface {
	// InsertMember is false when the slot is taken.
	InsertMember(ctx context.Context, m *Member) (bool, error)
	Member(ctx context.Context, id string) (*Member, error)
	LockMember(ctx context.Context, id string) (*Member, error)
	// LockReadyMember locks the oldest ready member of this content, in one of these parts of the provider, that nobody else holds.
	LockReadyMember(ctx context.Context, provider string, parts []string, key, catalogVersion string) (m *Member, found bool, err error)
	// UpdateMember writes a row that the transaction has locked; plan, slot, backend and credentials stay.
	UpdateMember(ctx context.Context, m *Member) error
	DeleteMember(ctx context.Context, id string) error
	ListMembers(ctx context.Context) ([]*Member, error)
	// FeatureSetsSince gives the different choices of features of requests that are under way or ended since then.
	FeatureSetsSince(ctx context.Context, since time.Time) ([][]string, error)
	// CountMembers gives the plans that have members.
	CountMembers(ctx context.Context) ([]PoolDepth, error)
}

// PoolDepths gives the pool's depth by plan: every plan of the catalog, and those that an older one left members of. Asked at each scrape.
func (s *Service) PoolDepths(ctx context.Context) ([]PoolDepth, error) {
	return view(ctx, s, func(tx Tx) ([]PoolDepth, error) { return s.poolDepths(ctx, tx) })
}

func (s *Service) poolDepths(ctx context.Context, tx Tx) ([]PoolDepth, error) {
	if s.pool.provider == nil {
		return nil, nil
	}
	have, err := tx.CountMembers(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range s.Catalog().Plans {
		if !slices.ContainsFunc(have, func(d PoolDepth) bool { return d.Plan == p.ID }) {
			have = append(have, PoolDepth{Plan: p.ID})
		}
	}
	return have, nil
}

// memberGeneration is that of every member: one that has to be made anew is another member.
const memberGeneration = 1

// takeMember gives the tenant a ready member of the content that its request asks for, in the transaction that writes the tenant; without one
// the tenant is left as it is, and is planned like any other. Nothing is touched on the cluster: the row that is gone here and the tenant that
// names the member there are the intent, and the pipeline's first steps carry it out.
func (s *Service) takeMember(ctx context.Context, u *unit, r *Request, p Provider, t *Tenant) (Credentials, bool, error) {
	if s.pool.provider == nil || s.pool.size == 0 || p.Name() != s.pool.provider.Name() {
		return Credentials{}, false, nil
	}
	cat := s.Catalog()
	steps, err := PlanSteps(cat, r.Features, p.Dialect())
	if err != nil {
		return Credentials{}, false, nil //nolint:nilerr // the pipeline plans the same steps, and says so where people see it
	}
	_, open := s.pool.provider.Parts() // one that nobody can reach now would let the customer wait while the others could serve
	m, found, err := u.LockReadyMember(ctx, p.Name(), open, ContentKey(p.Dialect(), steps), cat.Version)
	plan := r.Plan
	if err == nil {
		u.then(func() {
			s.meter.PoolTaken(plan, found)
			s.pool.wake()
		})
	}
	if err != nil || !found {
		return Credentials{}, false, err
	}
	c, err := s.openMember(m)
	if err != nil {
		return c, false, err
	}
	b, c, err := s.pool.provider.Adopt(m.Backend, c, t.ID, 1)
	if err != nil {
		return c, false, err
	}
	t.Backend, t.Member = b, m.ID
	return c, true, u.DeleteMember(ctx, m.ID)
}

func (s *Service) openMember(m *Member) (Credentials, error) {
	return s.unseal(m.Sealed, m.ID, m.SecretVersion)
}

func (s *Service) memberIdentity(id, catalogVersion string) Identity {
	return s.identity(id, memberGeneration, catalogVersion)
}
