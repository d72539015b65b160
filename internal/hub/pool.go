package hub

import (
	"context"
	"time"
)

// Pooler is a provider that can hold databases ready before anybody asks for them. A member of the pool is a backend under an id of its own,
// which begins with MemberPrefix; Plan plans it as it plans a tenant's. Create on an adopted place hands the member over, Drop on one removes
// it whether that has happened or not. Every method but Adopt may be repeated after a crash at any point of an earlier call.
type Pooler interface {
	Provider

	// Background marks the context of work that no customer waits for, so that it takes no more than its share of the connections.
	Background(ctx context.Context) context.Context

	// Prepare makes a planned member, as Create does.
	Prepare(ctx context.Context, member Backend, c Credentials, t Template) error

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
	Key            string // TemplateKey of what is in it
	CatalogVersion string // under which it was checked and probed
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
	// LockReadyMember locks the oldest ready member of this content that nobody else holds.
	LockReadyMember(ctx context.Context, provider, key, catalogVersion string) (m *Member, found bool, err error)
	// UpdateMember writes a row that the transaction has locked; plan, slot, backend and credentials stay.
	UpdateMember(ctx context.Context, m *Member) error
	DeleteMember(ctx context.Context, id string) error
	ListMembers(ctx context.Context) ([]*Member, error)
	// CountMembers gives the plans that have members.
	CountMembers(ctx context.Context) ([]PoolDepth, error)
}
