package hub

import (
	"context"
	"time"
)

// Store is the hub's own database. State, audit entry and job of one use case commit together or not at all.
//
// Errors of both methods: what fn returned; else CodeUnavailable when the database is gone or its disk is full.
type Store interface {
	// Write runs fn in one transaction. It may run fn again after a serialization failure, so fn has no other effects.
	Write(ctx context.Context, fn func(Tx) error) error
	// Read runs fn on one consistent snapshot; fn must not write.
	Read(ctx context.Context, fn func(Tx) error) error
	// Ping asks the database for an answer.
	Ping(ctx context.Context) error
}

// Tx is one transaction. Now is the same instant throughout: the database's clock on Postgres, the process's on SQLite.
type Tx interface {
	Now() time.Time

	RequestStore
	StepStore
	TenantStore
	OperatorStore
	AuditStore
	ReceiptStore
	OperationStore
	InstanceStore
	LineStore
	ForecastStore
	PoolStore
}

// Jobs enqueues background work inside the caller's transaction: it exists exactly if that commits.
type Jobs interface {
	// EnqueueProvision runs Service.Provision for the request, in the order of the line.
	EnqueueProvision(ctx context.Context, tx Tx, k LineKey) error
	// EnqueueRetried does the same for a request that the hub retries by itself, with workers of their own: those of a cluster that is away
	// must not stand in the way of the rest of the line.
	EnqueueRetried(ctx context.Context, tx Tx, k LineKey) error
	// EnqueueCleanup runs Service.Cleanup for the tenant of a cancelled request.
	EnqueueCleanup(ctx context.Context, tx Tx, tenantID string) error
	// EnqueueRetry runs Service.RetryByItself at its time.
	EnqueueRetry(ctx context.Context, tx Tx, a Again) error
	// EnqueueMail runs Service.SendMail.
	EnqueueMail(ctx context.Context, tx Tx, m Mail) error
}

// StepStore keeps the steps of each request.
type StepStore interface {
	// PutSteps replaces all steps of the request.
	PutSteps(ctx context.Context, requestID string, steps []StepRecord) error
	Steps(ctx context.Context, requestID string) ([]StepRecord, error)
	// UpdateSteps writes what changed of steps that PutSteps put.
	UpdateSteps(ctx context.Context, requestID string, steps []StepRecord) error
}

// AuditEntry is one line of the log of changes.
type AuditEntry struct {
	ID        string
	At        time.Time
	ActorKind ActorKind
	ActorID   string
	ActorName string
	Action    string // "request.claim" …
	Target    string // id of what was changed
	Detail    map[string]any
	RequestID string // X-Request-Id of the call, where there was one
}

// AuditStore keeps the log of changes.
type AuditStore interface {
	AppendAudit(ctx context.Context, e *AuditEntry) error
	// ListAudit gives the newest first: those of the target ("" is all) before the given id ("" is from the newest).
	ListAudit(ctx context.Context, target, before string, limit int) ([]*AuditEntry, error)
}

// InstanceStore knows which hubs are alive. A request's lease is good as long as its hub is.
type InstanceStore interface {
	// Beat says that the instance lives. home names its data directory: a new instance with the same home proves the former one dead.
	Beat(ctx context.Context, id, home string, workers int) error
	// LiveInstances gives those with a beat since then.
	LiveInstances(ctx context.Context, since time.Time) ([]Instance, error)
	// BuryInstances removes those with no beat since then, or with this home and another id; it returns what it removed.
	BuryInstances(ctx context.Context, since time.Time, home, exceptID string) ([]string, error)
	RemoveInstance(ctx context.Context, id string) error
}

// Instance is one running hub.
type Instance struct {
	ID      string
	Workers int
	BeatAt  time.Time
}

// OperationStore keeps long work that a caller can follow.
type OperationStore interface {
	InsertOperation(ctx context.Context, o *Operation) error
	Operation(ctx context.Context, id string) (*Operation, error)
	// FinishOperations ends the open operations of the target.
	FinishOperations(ctx context.Context, target string, failure string) error
	OpenOperation(ctx context.Context, target string) (o *Operation, found bool, err error)
}

// Operation is long work that a caller can follow.
type Operation struct {
	ID         string
	Kind       string // "provision"
	Target     string // id of the request
	Error      string // empty while it runs and when it went well
	CreatedAt  time.Time
	FinishedAt *time.Time
}

// Receipt is the stored answer to a call with an Idempotency-Key.
type Receipt struct {
	Principal string // who called, so that keys of two callers never meet
	Route     string
	KeyHash   []byte
	BodyHash  []byte
	Instance  string // who is at it; a dead instance's key is free again
	Status    int    // 0 while in flight
	Sealed    []byte // header and body, sealed
	CreatedAt time.Time
}

// ReceiptStore keeps receipts for 24 hours.
type ReceiptStore interface {
	// TakeReceipt inserts r, or gives the one that is there.
	TakeReceipt(ctx context.Context, r *Receipt) (there *Receipt, err error)
	// FinishReceipt stores the answer; it is ErrConflict if the instance no longer holds the key.
	FinishReceipt(ctx context.Context, r *Receipt) error
	// FreeReceipt removes r if it is still as r says: in the same hands and with the same status.
	FreeReceipt(ctx context.Context, r *Receipt) error
	DeleteReceiptsBefore(ctx context.Context, t time.Time) error
}
