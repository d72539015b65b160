package hub

import (
	"context"
	"strings"
	"time"
)

// Rank is an operator's role.
type Rank string

// The roles, most powerful first.
const (
	Admin       Rank = "admin"
	Provisioner Rank = "provisioner"
	Support     Rank = "support" // looks, changes nothing
)

// Ranks lists the roles.
var Ranks = []Rank{Admin, Provisioner, Support}

// Operator is a person who works the line.
type Operator struct {
	ID           string
	Email        string
	Name         string
	Rank         Rank
	PasswordHash string
	CreatedAt    time.Time
	DisabledAt   *time.Time
}

// Session is an operator's login. Only the token's hash is kept.
type Session struct {
	TokenHash  []byte
	OperatorID string
	CreatedAt  time.Time
	SeenAt     time.Time
}

// APIToken acts for programs. Only its hash is kept.
type APIToken struct {
	ID        string
	Name      string
	Rank      Rank
	Scopes    []string // empty: all that the rank may do
	Hash      []byte
	CreatedAt time.Time
	CreatedBy string
	RevokedAt *time.Time
}

// How long a session lasts without use, and at the most.
const (
	SessionIdle     = 30 * time.Minute
	SessionAbsolute = 12 * time.Hour
	sessionTouch    = time.Minute // SeenAt is written at most this often, so that reading a page is not a write
	setupLinkLife   = 30 * time.Minute
)

// OperatorStore keeps operators, their sessions and tokens. Errors: CodeNotFound, CodeOperatorExists.
type OperatorStore interface {
	InsertOperator(ctx context.Context, o *Operator) error
	Operator(ctx context.Context, id string) (*Operator, error)
	OperatorByEmail(ctx context.Context, email string) (*Operator, error)
	ListOperators(ctx context.Context) ([]*Operator, error)
	CountOperators(ctx context.Context) (int, error)
	// OperatorsWorking counts operators with a session used since then, or with a request in hand.
	OperatorsWorking(ctx context.Context, since time.Time) (int, error)
	SetPasswordHash(ctx context.Context, operatorID, hash string) error

	InsertSession(ctx context.Context, s *Session) error
	Session(ctx context.Context, hash []byte) (*Session, error)
	TouchSession(ctx context.Context, hash []byte, at time.Time) error
	DeleteSession(ctx context.Context, hash []byte) error
	DeleteSessionsBefore(ctx context.Context, idle, absolute time.Time) error

	InsertAPIToken(ctx context.Context, t *APIToken) error
	APITokenByHash(ctx context.Context, hash []byte) (*APIToken, error)

	PutSetupToken(ctx context.Context, hash []byte, expires time.Time) error
	SetupTokenValid(ctx context.Context, hash []byte, now time.Time) (bool, error)
	// TakeSetupToken removes a valid one; of several calls one gets true.
	TakeSetupToken(ctx context.Context, hash []byte, now time.Time) (bool, error)
	DeleteSetupTokens(ctx context.Context) error
}

// ActorKind says what kind of actor did something.
type ActorKind string

// The kinds.
const (
	ByPerson   ActorKind = "operator"
	ByToken    ActorKind = "token"
	ByCustomer ActorKind = "customer"
	ByHub      ActorKind = "hub"
	ByCLI      ActorKind = "cli"
)

// Actor is who does something. It always comes from the session, the token or the process, never from a body.
type Actor struct {
	Kind ActorKind
	ID   string
	Name string
	Rank Rank
}

// HubActor acts where the hub itself decides.
func HubActor() Actor { return Actor{Kind: ByHub, ID: AutoAssignee, Name: "the hub", Rank: Admin} }

// CLIActor acts for whoever has a shell on the hub's machine.
func CLIActor() Actor { return Actor{Kind: ByCLI, ID: "cli", Name: "command line", Rank: Admin} }

// mayWork refuses who may only look.
func (a Actor) mayWork() error {
	if a.Rank == Admin || a.Rank == Provisioner {
		return nil
	}
	return E(CodeForbidden, "Your role may look but not change anything.", "Ask an admin to do it or to give you the role provisioner.")
}

// mayHandle refuses who is neither the assignee nor an admin.
func (a Actor) mayHandle(r *Request) error {
	if err := a.mayWork(); err != nil {
		return err
	}
	if a.Rank == Admin || r.AssignedTo == a.ID {
		return nil
	}
	who := r.AssigneeName
	if r.AssignedTo == AutoAssignee {
		who = "the hub"
	}
	return E(CodeForbidden, "This request is in the hands of "+who+".", "Only its assignee or an admin can do this.")
}

func mayAdminister(a Actor) error {
	if a.Rank == Admin {
		return nil
	}
	return E(CodeForbidden, "Only an admin may do this.", "Ask an admin.")
}

// NormalizeEmail trims and lower-cases.
func NormalizeEmail(s string) string { return strings.ToLower(strings.TrimSpace(s)) }
