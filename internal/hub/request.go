package hub

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// State is where a request stands; doc.go has the picture.
type State string

// The states.
const (
	Pending             State = "pending"
	InProgress          State = "in_progress"
	CredentialsReceived State = "credentials_received"
	Migrating           State = "migrating"
	Completed           State = "completed"
	Failed              State = "failed"
	Cancelled           State = "cancelled"
)

// States lists all of them in the order of a request's life.
var States = []State{Pending, InProgress, CredentialsReceived, Migrating, Completed, Failed, Cancelled}

// Final reports whether nothing can follow.
func (s State) Final() bool { return s == Completed || s == Cancelled }

// Move is what takes a request from one state to another.
type Move string

// The moves.
const (
	MoveClaim       Move = "claim"
	MoveRelease     Move = "release"
	MoveCredentials Move = "credentials"
	MoveStart       Move = "start"
	MoveComplete    Move = "complete"
	MoveFail        Move = "fail"
	MoveRetry       Move = "retry"
	MoveCancel      Move = "cancel"
)

// transitions says from where each move may start. Retry decides its target itself (see retryTarget).
var transitions = map[Move]struct {
	from []State
	to   State
}{
	MoveClaim:       {[]State{Pending, Failed}, InProgress},
	MoveRelease:     {[]State{InProgress}, Pending},
	MoveCredentials: {[]State{InProgress}, CredentialsReceived},
	MoveStart:       {[]State{CredentialsReceived}, Migrating},
	MoveComplete:    {[]State{Migrating}, Completed},
	MoveFail:        {[]State{InProgress, CredentialsReceived, Migrating}, Failed},
	MoveRetry:       {[]State{Failed}, CredentialsReceived},
	MoveCancel:      {[]State{Pending, InProgress, CredentialsReceived, Failed}, Cancelled},
}

// AutoAssignee stands in AssignedTo where the hub itself is the claimer.
const AutoAssignee = "auto"

// Request is one customer's place in the line, and its way to a backend.
type Request struct {
	ID         string
	CustomerID string
	Plan       string
	Features   []string // with core and all dependencies, in the order in which they are applied
	Priority   int
	Way        Way // as the plan said at sign-up
	State      State
	AssignedTo string // "", AutoAssignee or an operator's id
	TenantID   string // set with the credentials
	Notes      string

	BillingCycle        string
	ReferralSource      string
	SpecialRequirements string

	EnqueuedAt    time.Time // keeps the place through release and retry
	ClaimedAt     *time.Time
	CredentialsAt *time.Time
	StartedAt     *time.Time
	FinishedAt    *time.Time
	UpdatedAt     time.Time
	OverdueAt     *time.Time // by the plan's SLA

	Failure *Failure

	First    *FirstForecast // as it was given on sign-up; nil for requests from before there was one
	WaitedMS *int64         // milliseconds from sign-up to the first claim
	ReadyMS  *int64         // milliseconds from sign-up to ready
	RaisedAt *time.Time     // when waiting last raised its priority

	Worker  string // the hub instance that is running the pipeline, or empty
	Fence   int64  // rises with each new run; a step's result counts only under the fence it began with
	Version int64  // compare-and-set

	// Joined for reading, never written.
	Customer     CustomerRef
	AssigneeName string

	// OperationID is the long work that a move began; set on what the move gives back, never stored or read.
	OperationID string
}

// CustomerRef is the part of a customer that listings show.
type CustomerRef struct {
	Email       string
	CompanyName string
	ContactName string
}

// Customer is a company that signed up.
type Customer struct {
	ID          string
	Email       string // trimmed, lower case
	CompanyName string
	ContactName string
	Phone       string
	Billing     Address
	CreatedAt   time.Time
}

// Address is where the bill goes; every part may be empty.
type Address struct {
	Street  string `json:"street,omitempty"`
	City    string `json:"city,omitempty"`
	State   string `json:"state,omitempty"`
	Zip     string `json:"zip,omitempty"`
	Country string `json:"country,omitempty"`
}

// RequestFilter narrows a listing. Zero fields do not filter.
type RequestFilter struct {
	State      State
	Plan       string
	AssignedTo string
	Query      string // part of email, company or contact, any case
	OverdueAt  *time.Time
	Limit      int
	After      *LineKey
}

// LineKey is a request's place in the total order of the line: priority descending, then enqueue time, then id.
type LineKey struct {
	Priority   int       `json:"p"`
	EnqueuedAt time.Time `json:"t"`
	ID         string    `json:"i"`
}

// Key gives the request's place in the order of the line.
func (r *Request) Key() LineKey { return LineKey{r.Priority, r.EnqueuedAt, r.ID} }

// Ahead counts who waits before a request.
type Ahead struct {
	All     int // in the whole line
	SameWay int // of those, the ones that compete for the same servers
	Higher  int // of all, the ones of a higher priority
}

// RequestStore keeps customers and requests. Errors: CodeNotFound for an unknown id, ErrConflict from UpdateRequest.
type RequestStore interface {
	InsertCustomer(ctx context.Context, c *Customer) error
	CustomerByEmail(ctx context.Context, email string) (*Customer, error)
	// UpdateCustomer writes everything but id, email and when it was made.
	UpdateCustomer(ctx context.Context, c *Customer) error
	// LiveRequest finds the customer's request that is not cancelled, if any; found is false otherwise.
	LiveRequest(ctx context.Context, customerID string) (r *Request, found bool, err error)

	// InsertRequest refuses a second live request of one customer with CodeCustomerExists.
	InsertRequest(ctx context.Context, r *Request) error
	Request(ctx context.Context, id string) (*Request, error)
	LockRequest(ctx context.Context, id string) (*Request, error) // held until the transaction ends
	// LockNext locks the first pending request nobody else holds; found is false when the line is empty.
	LockNext(ctx context.Context) (r *Request, found bool, err error)
	UpdateRequest(ctx context.Context, r *Request) error
	ListRequests(ctx context.Context, f RequestFilter) ([]*Request, error)
	Ahead(ctx context.Context, k LineKey, w Way) (Ahead, error)

	// PendingAutomatic gives the first n automatic requests of the line.
	PendingAutomatic(ctx context.Context, n int) ([]*Request, error)
	// AbandonedBy gives unfinished requests whose Worker is set and not among the live instances.
	Abandoned(ctx context.Context, live []string, n int) ([]*Request, error)

	PutStatusToken(ctx context.Context, hash []byte, requestID string) error
	RequestByStatusToken(ctx context.Context, hash []byte) (*Request, error)
	// Counts gives the numbers behind the statistics; without pending who waits is left out, since the index counts them for nothing.
	Counts(ctx context.Context, dayStart time.Time, pending bool) (Counts, error)
}

// Counts are the raw numbers behind the operators' statistics, all measured in one pass.
type Counts struct {
	ByState        map[State]int
	Pending        [3]int // by priority
	CompletedToday int
	FailedToday    int
	Overdue        int
	OldestPending  *time.Time
	AverageWait    time.Duration // sign-up to claim, over the last 24 hours; 0 when nobody was claimed
	CompletedHour  int
}

// move checks the rule and sets state and version-independent fields. The caller writes the row.
func (r *Request) move(m Move, now time.Time) error {
	t := transitions[m]
	if !slices.Contains(t.from, r.State) {
		return invalidTransition(r, m)
	}
	to := t.to
	if m == MoveRetry && r.TenantID == "" {
		to = Pending
	}
	r.State = to
	r.UpdatedAt = now
	return nil
}

// claimedAt notes a claim; how long the customer waited counts to the first one.
func (r *Request) claimedAt(now time.Time) {
	r.ClaimedAt = &now
	if r.WaitedMS == nil {
		waited := now.Sub(r.EnqueuedAt).Milliseconds()
		r.WaitedMS = &waited
	}
}

func invalidTransition(r *Request, m Move) *Error {
	e := E(CodeInvalidTransition, fmt.Sprintf("A request that is %s cannot be moved by %s.", r.State, m), nextFor(r.State))
	e.Details = map[string]any{"status": string(r.State), "move": string(m)}
	return e
}

// nextFor says what can be done with a request in this state.
func nextFor(s State) string {
	switch s {
	case Pending:
		return "Claim it first, or cancel it."
	case InProgress:
		return "Send its credentials, release it or cancel it."
	case CredentialsReceived:
		return "It starts by itself; it can still be cancelled."
	case Migrating:
		return "Wait until it is completed or failed."
	case Failed:
		return "Retry it, claim it to take over by hand, or cancel it."
	case Completed:
		return "It is finished; look at its tenant."
	case Cancelled:
		return "It is over; the customer may sign up again."
	}
	return ""
}
