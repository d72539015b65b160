package hub

import (
	"context"
	"database/sql"
	"fmt"
)

// Backend says which database belongs to a tenant: enough to find it again, and no secret.
type Backend struct {
	TenantID   string
	Generation int64  // 1 for the first database of a tenant, one more each time it is given a new one
	Provider   string // "sqlite" …
	Place      string // opaque to the hub: a file name, a cluster and a database name; made by the provider, never from user text
}

// Credentials reach one backend. They are sealed before they are stored and never listed.
type Credentials struct {
	URL string            `json:"url"` // what the customer's program connects with
	Env map[string]string `json:"env"` // the same as environment variables, ready to paste
	// AdminURL is what the hub itself connects with for steps that the customer's role may not do; empty: the same as URL.
	AdminURL string `json:"admin_url,omitempty"`
}

// Role is whose eyes a connection has.
type Role string

// The two roles of a backend.
const (
	RoleOwner  Role = "owner"  // the pipeline: makes tables
	RoleTenant Role = "tenant" // the customer's program, with what its credentials give and nothing more
)

// Template is a finished database that new ones can start as a copy of.
type Template struct {
	Key   string                                      // ContentKey: equal key, equal content
	Build func(ctx context.Context, db *sql.DB) error // runs all of the steps on an empty database, the checks among them
}

// Provider makes and reaches backends of one kind. Every method but Plan may be repeated after a crash at any point of an earlier call.
//
// Errors: a *StepError where the cause is understood, else any error (class bug).
type Provider interface {
	Name() string
	Dialect() Dialect

	// Plan chooses place and credentials and touches nothing, so that the intent can be written before Create.
	Plan(ctx context.Context, tenantID string, generation int64) (Backend, Credentials, error)

	// Create makes the planned database, as a copy of the template where it can (building the template if it is missing). What is
	// already there and belongs to this tenant is kept; what belongs to another is refused.
	Create(ctx context.Context, b Backend, c Credentials, t Template) error

	// Open connects; the caller closes. It never creates: a missing database is an error.
	Open(ctx context.Context, b Backend, c Credentials, r Role) (*sql.DB, error)

	// Size in bytes of what Open would open.
	Size(ctx context.Context, b Backend, c Credentials) (int64, error)

	// Drop removes the database; a missing one is no error.
	Drop(ctx context.Context, b Backend, c Credentials) error
}

// Mover is a provider whose databases lie with the hub that makes them. Here gives a backend's credentials as they are on this hub; they
// differ from the planned ones when another hub chose the backend than makes it.
type Mover interface {
	Here(b Backend) (Credentials, error)
}

// Guard is a provider whose backends share a server. Guarded asks, over a connection with the tenant's own rights, whether the walls stand: who
// else is let into this backend, and which of its neighbours would let this tenant in. An open door is a fault that names it.
type Guard interface {
	Guarded(ctx context.Context, db *sql.DB, b Backend) error
}

// Addresser is a provider whose customers reach it by an address that is a setting and may change. Addressed gives sealed credentials with the
// address of today; nothing is asked or touched.
type Addresser interface {
	Addressed(b Backend, c Credentials) (Credentials, error)
}

// Identity is the sealed row inside every tenant database that says whose it is.
type Identity struct {
	TenantID       string
	Generation     int64
	CatalogVersion string
	MAC            string // hex, over the three above, by the vault
}

// TenantDB works inside a tenant's database. It is given a connection and owns none.
type TenantDB interface {
	// Ledger gives the checksum of each step that was applied, by step name; nil where there is no ledger yet.
	Ledger(ctx context.Context, db *sql.DB, d Dialect) (map[string]string, error)

	// Apply runs a migrate or seed step and writes its ledger row in the same transaction. A step that is already in the ledger with the
	// same checksum is left alone; with another checksum it is refused (class catalog).
	Apply(ctx context.Context, db *sql.DB, d Dialect, s Step) error

	// Check runs the step's queries; each must return no row.
	Check(ctx context.Context, db *sql.DB, d Dialect, s Step) error

	// Identify writes the identity into a database that has none or an equal one (its version may differ); one that says another tenant is refused.
	Identify(ctx context.Context, db *sql.DB, d Dialect, id Identity) error

	// Reseal gives a database another identity, exactly where from stands: one of the pool becomes a tenant's. May be repeated.
	Reseal(ctx context.Context, db *sql.DB, d Dialect, from, to Identity) error

	// ReadIdentity gives the identity; found is false where there is none.
	ReadIdentity(ctx context.Context, db *sql.DB, d Dialect) (id Identity, found bool, err error)

	// Probe does what a tenant's program would: write, read back, roll back, see it gone. db was opened with RoleTenant.
	// It also holds the ledger against the steps that must be in it.
	Probe(ctx context.Context, db *sql.DB, d Dialect, id Identity, applied []Step) error
}

// Class says what kind of trouble a step met, so that people and the hub know what to do about it.
type Class string

// The classes of failure.
const (
	ClassNetwork Class = "network" // passing: tried again by itself
	ClassAuth    Class = "auth"
	ClassQuota   Class = "quota" // disk full, too many connections
	ClassData    Class = "data"
	ClassCatalog Class = "catalog" // the feature's own SQL
	ClassBug     Class = "bug"     // ours
)

// StepError is a failure that explains itself.
type StepError struct {
	Class Class
	Code  string // the database's own code where it has one ("SQLITE_FULL", "42P07")
	File  string // catalog file of the statement, or empty
	Line  int    // line in it, 0 when unknown
	Err   error
}

// Error names class, place and cause.
func (e *StepError) Error() string {
	if e.File != "" {
		return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
	}
	return e.Err.Error()
}

// Unwrap gives the cause.
func (e *StepError) Unwrap() error { return e.Err }
