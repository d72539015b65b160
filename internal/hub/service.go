package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/queue"
)

// Tokens makes and hashes bearer tokens.
type Tokens interface {
	New(prefix string) (token string, hash []byte)
	Hash(token string) []byte // 32 bytes
}

// Passwords hashes, verifies and judges passwords.
type Passwords interface {
	Hash(ctx context.Context, password string) (string, error)
	// Verify compares; rehash says that the stored hash has weaker parameters than today's.
	Verify(ctx context.Context, password, encoded string) (ok, rehash bool, err error)
	// Burn takes as long as Verify, for accounts that do not exist.
	// Like Verify it is CodeUnavailable when too many wait.
	Burn(ctx context.Context, password string) error
	// Check gives nil or a CodeWeakPassword with every failed criterion.
	Check(password string, identity ...string) *Error
}

// Catalogs holds the catalog in force.
type Catalogs interface {
	Current() *Catalog
	// Reload reads the files again; the one in force stays if they are broken.
	Reload(ctx context.Context) error
}

// Events tells watchers that something changed. It carries no content: watchers read what is true now.
type Events interface {
	Publish(topics ...string)
	// Subscribe has changed called after each change of the topic, by whoever publishes: it must return at once and may neither publish nor
	// subscribe. cancel may be called more than once.
	Subscribe(topic string, changed func()) (cancel func())
}

// Meter counts what the contract's metrics show.
type Meter interface {
	RequestCreated(plan string)
	RequestCompleted(plan string, took time.Duration)
	RequestFailed(plan string, class Class)
	// Reconciled says how many findings of each kind the latest scan left.
	Reconciled(left map[string]int)
	// PoolTaken counts a backend that came out of the pool, or had to be made because the pool had none.
	PoolTaken(plan string, found bool)
	// PoolFailed counts a member of the pool that could not be made or removed.
	PoolFailed(plan string, class Class)
}

// TopicLine is signalled when the order of the line may have changed.
const TopicLine = "line"

// Deps is what the service works with; every field is needed.
type Deps struct {
	Store     Store
	Jobs      Jobs
	Catalogs  Catalogs
	Providers map[string]Provider
	Default   string // name of the provider of automatic plans
	TenantDB  TenantDB
	Vault     Vault
	Tokens    Tokens
	Passwords Passwords
	Events    Events
	Meter     Meter
	Mailer    Mailer
	Log       *slog.Logger
	PublicURL string        // without a trailing slash
	Instance  string        // this process
	Home      string        // names the data directory, for burying a former process of it
	Workers   int           // pipelines this process runs at once
	Hours     *Hours        // when operators work; nil: whenever they are logged in
	Aging     time.Duration // a waiting request rises one priority after so long; 0: never
	PoolSize  int           // databases held ready for each plan, where a provider is a Pooler; 0: none
}

// Service has the use cases. It is safe for concurrent use.
type Service struct {
	store     Store
	jobs      Jobs
	catalogs  Catalogs
	providers map[string]Provider
	fallback  string
	tenantDB  TenantDB
	vault     Vault
	tokens    Tokens
	passwords Passwords
	events    Events
	meter     Meter
	mailer    Mailer
	log       *slog.Logger
	publicURL string
	instance  string
	home      string
	workers   int

	hours *Hours
	aging time.Duration

	waiting    waiters
	line       *line
	forecaster *forecaster
	runs       runSet
	tidy       tidier
	trials     trials
	pool       *pool
}

// New makes the service.
func New(d Deps) *Service {
	return &Service{
		store: d.Store, jobs: d.Jobs, catalogs: d.Catalogs, providers: d.Providers, fallback: d.Default, tenantDB: d.TenantDB,
		vault: d.Vault, tokens: d.Tokens, passwords: d.Passwords, events: d.Events, meter: d.Meter, mailer: d.Mailer, log: d.Log,
		publicURL: strings.TrimRight(d.PublicURL, "/"), instance: d.Instance, home: d.Home, workers: d.Workers,
		line: newLine(), trials: make(trials, trialsAtOnce), forecaster: newForecaster(), hours: d.Hours, aging: d.Aging, pool: newPool(d.Providers, d.Default, d.PoolSize),
	}
}

// SetPublicURL is for a hub that learns its address only when it listens; it is called before anything else runs.
func (s *Service) SetPublicURL(u string) { s.publicURL = strings.TrimRight(u, "/") }

// Catalog gives the catalog in force.
func (s *Service) Catalog() *Catalog { return s.catalogs.Current() }

// Subscribe watches a topic: a request's id, or TopicLine.
func (s *Service) Subscribe(topic string, changed func()) (cancel func()) {
	return s.events.Subscribe(topic, changed)
}

func (s *Service) statusURL(token string) string { return s.publicURL + "/status/" + token }

func (s *Service) planName(id string) string {
	if p, ok := s.Catalog().Plan(id); ok {
		return p.Name
	}
	return id
}

// unit is one use case's transaction with what is to be told after it commits.
type unit struct {
	Tx
	topics  []string
	after   []func()
	changes []queue.Change
}

// InsertRequest notes what it means for the line.
func (u *unit) InsertRequest(ctx context.Context, r *Request) error {
	if err := u.Tx.InsertRequest(ctx, r); err != nil {
		return err
	}
	u.changes = append(u.changes, lineChange(r))
	return nil
}

// UpdateRequest notes what it means for the line.
func (u *unit) UpdateRequest(ctx context.Context, r *Request) error {
	if err := u.Tx.UpdateRequest(ctx, r); err != nil {
		return err
	}
	u.changes = append(u.changes, lineChange(r))
	return nil
}

// Unwrap gives the store's own transaction to adapters that need more of it than hub.Tx shows: jobs are inserted in it.
func (u *unit) Unwrap() Tx { return u.Tx }

func (u *unit) touch(topics ...string) { u.topics = append(u.topics, topics...) }

// then runs after the commit: metrics and the like, which must not count what was rolled back.
func (u *unit) then(f func()) { u.after = append(u.after, f) }

// mutate runs one use case in one transaction. Where the call came with an Idempotency-Key, its answer is stored in the same transaction,
// so that effect and receipt exist together or not at all.
func mutate[R any](ctx context.Context, s *Service, fn func(*unit) (R, error)) (R, error) {
	var out R
	var u *unit
	err := s.store.Write(ctx, func(tx Tx) error {
		u = &unit{Tx: tx}
		var err error
		if out, err = fn(u); err != nil {
			return err
		}
		if len(u.changes) > 0 {
			if err := tx.AnnounceLine(ctx, u.changes); err != nil {
				return err
			}
		}
		return s.storeReceipt(ctx, tx, out)
	})
	if err != nil {
		if u != nil && len(u.changes) > 0 && IsCode(err, CodeUnavailable) {
			s.line.doubt() // it may have been committed all the same
		}
		var zero R
		return zero, err
	}
	if len(u.changes) > 0 {
		s.line.idx.ApplyAll(u.changes)
	}
	for _, f := range u.after {
		f()
	}
	if len(u.topics) > 0 {
		s.forecaster.dirty.Store(true)
		s.events.Publish(u.topics...)
	}
	return out, nil
}

// view reads on one snapshot.
func view[R any](ctx context.Context, s *Service, fn func(Tx) (R, error)) (R, error) {
	var out R
	err := s.store.Read(ctx, func(tx Tx) error {
		var err error
		out, err = fn(tx)
		return err
	})
	return out, err
}

// CallKey is the key under which a context has the X-Request-Id of the call, a string, for the audit log.
type CallKey struct{}

// CallID gives the X-Request-Id of the call, or "".
func CallID(ctx context.Context) string {
	id, _ := ctx.Value(CallKey{}).(string)
	return id
}

func (u *unit) audit(ctx context.Context, a Actor, action, target string, detail map[string]any) error {
	return u.AppendAudit(ctx, &AuditEntry{
		ID: NewID("aud_", u.Now()), At: u.Now(), ActorKind: a.Kind, ActorID: a.ID, ActorName: a.Name,
		Action: action, Target: target, Detail: detail, RequestID: CallID(ctx),
	})
}

// saveMove writes a request after a move with its audit entry, and tells watchers.
func (u *unit) saveMove(ctx context.Context, a Actor, r *Request, m Move, detail map[string]any) error {
	if err := u.UpdateRequest(ctx, r); err != nil {
		return err
	}
	return u.moved(ctx, a, r, m, detail)
}

// moved is saveMove for a request that is written later in the transaction.
func (u *unit) moved(ctx context.Context, a Actor, r *Request, m Move, detail map[string]any) error {
	if detail == nil {
		detail = map[string]any{}
	}
	detail["status"] = string(r.State)
	u.touch(r.ID, TopicLine)
	return u.audit(ctx, a, "request."+string(m), r.ID, detail)
}

// refused audits an attempt that the rules turned down, in a transaction of its own, and gives back the refusal.
func (s *Service) refused(ctx context.Context, a Actor, m Move, id string, err error) error {
	switch CodeOf(err) {
	case CodeInvalidTransition, CodeAlreadyClaimed, CodeForbidden:
	default:
		return err
	}
	audit := s.store.Write(ctx, func(tx Tx) error {
		u := &unit{Tx: tx}
		return u.audit(ctx, a, "request."+string(m)+".refused", id, map[string]any{"code": string(CodeOf(err))})
	})
	if audit != nil {
		return audit // no audit, no answer as if there were one
	}
	return err
}

func (s *Service) openCredentials(t *Tenant) (Credentials, error) {
	return s.unseal(t.Sealed, t.ID, t.SecretVersion)
}

const credentialsField = "credentials"

func (s *Service) sealCredentials(t *Tenant, c Credentials) error {
	t.SecretVersion++
	var err error
	t.Sealed, err = s.seal(c, t.ID, t.SecretVersion)
	return err
}

// seal seals credentials for a tenant or a member of the pool, and for this version of them alone.
func (s *Service) seal(c Credentials, id string, version int64) ([]byte, error) {
	plain, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return s.vault.SealBytes(plain, id, credentialsField, version)
}

func (s *Service) unseal(sealed []byte, id string, version int64) (Credentials, error) {
	var c Credentials
	plain, err := s.vault.OpenBytes(sealed, id, credentialsField, version)
	if err != nil {
		return c, fmt.Errorf("opening the credentials of %s: %w", id, err)
	}
	return c, json.Unmarshal(plain, &c)
}

func (s *Service) provider(name string) (Provider, error) {
	p, ok := s.providers[name]
	if !ok {
		return nil, FieldError(CodeInvalidField, "provider", fmt.Sprintf("There is no provider %q here.", name), "Use one of: "+strings.Join(s.ProviderNames(), ", ")+".")
	}
	return p, nil
}

// ProviderNames lists what this hub makes backends with.
func (s *Service) ProviderNames() []string {
	return s.providersThat(func(p Provider) bool { _, brought := p.(Bringer); return !brought })
}

// Ready asks each part the hub needs; the error says what is wrong.
func (s *Service) Ready(ctx context.Context) error { return s.store.Ping(ctx) }
