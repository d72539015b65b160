package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Bringer is a provider of databases that an operator brings: it plans none, what the operator gives is the place and its credentials. Create
// looks again whether the database may be used, and Drop takes away what the pipeline made and leaves the database.
type Bringer interface {
	Provider

	// Fields are the names of what an operator may give; the first one names the place.
	Fields() []string

	// Bring judges what was given and tries the database for real, within ten seconds: it connects, looks at version, rights and room, and
	// that there is nothing in it but what is this tenant's already. It changes nothing there. tenantID is empty where nobody is to get it.
	//
	// The trial says how far it came; it is nil where nothing was connected to.
	//
	// Errors: *Error with the wrong fields: CodeMissingField and CodeInvalidField for what cannot be read, CodeAddressRefused,
	// CodeConnectionFailed, CodeCredentialsInvalid for what was tried. None of them shows a secret.
	Bring(ctx context.Context, tenantID string, generation int64, given map[string]string) (Backend, Credentials, *Trial, error)
}

// Trial is what came of trying a database that somebody brings.
type Trial struct {
	Place         string // of the database, without secrets; empty where none could be made out
	ServerVersion string
	Checks        []Check // in the order made; the last one is the one that failed, if one did
	Took          time.Duration
}

// Check is one thing that a trial looked at.
type Check struct {
	Name   string
	OK     bool
	Detail string // what was found, for operators; never a secret
	Took   time.Duration
}

// Offer is how an operator answers for a claimed request's backend: a provider that makes it, or one whose databases are brought, with its
// fields. It holds secrets, so it prints as its provider's name alone.
type Offer struct {
	Provider string
	Given    map[string]string
}

// String hides what was given.
func (o Offer) String() string { return o.Provider }

// GoString hides what was given from %#v.
func (o Offer) GoString() string { return fmt.Sprintf("hub.Offer{Provider: %q}", o.Provider) }

// LogValue hides what was given from slog.
func (o Offer) LogValue() slog.Value { return slog.StringValue(o.Provider) }

// trialsAtOnce bounds the connections that operators make the hub open to places of their choice; who comes later is told to wait.
const trialsAtOnce = 4

// trials is the room for them.
type trials chan struct{}

func (t trials) enter() (leave func(), err error) {
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	default:
		e := E(CodeRateLimited, "The hub is trying as many connections as it does at once.", "Try again in a few seconds.")
		e.Details = map[string]any{"limit": trialsAtOnce}
		return nil, e
	}
}

// offered finds the provider of an offer, and refuses what does not go with it.
func (s *Service) offered(o Offer) (Provider, error) {
	if o.Provider == "" {
		return nil, asList([]*Error{FieldError(CodeMissingField, "provider", "provider is needed.", "Name who makes the backend.")})
	}
	p, ok := s.providers[o.Provider]
	if !ok {
		return nil, asList([]*Error{FieldError(CodeInvalidField, "provider", "This hub has no such provider.", "Use one of: "+strings.Join(s.offerable(), ", ")+".")})
	}
	var takes []string
	fix := "Leave it out: this provider makes the database itself."
	if b, ok := p.(Bringer); ok {
		takes = b.Fields()
		fix = "Leave it out; " + o.Provider + " takes " + strings.Join(takes, ", ") + "."
	}
	var wrong []*Error
	for name := range o.Given {
		if !slices.Contains(takes, name) {
			wrong = append(wrong, FieldError(CodeInvalidJSON, name, fmt.Sprintf("%s does not go with provider %s.", name, o.Provider), fix))
		}
	}
	slices.SortFunc(wrong, func(a, b *Error) int { return strings.Compare(a.Field, b.Field) })
	return p, asList(wrong)
}

func (s *Service) offerable() []string { return append(s.ProviderNames(), s.BroughtProviders()...) }

// BroughtProviders lists the providers whose databases operators bring.
func (s *Service) BroughtProviders() []string {
	return s.providersThat(func(p Provider) bool { _, brought := p.(Bringer); return brought })
}

func (s *Service) providersThat(fit func(Provider) bool) []string {
	var names []string
	for n, p := range s.providers {
		if fit(p) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// brought is a database that passed its trial.
type brought struct {
	field   string // the one that names the place
	backend Backend
	creds   Credentials
	trial   *Trial
}

// bring tries what was given, for a tenant or for nobody.
func (s *Service) bring(ctx context.Context, p Bringer, tenantID string, generation int64, given map[string]string) (*brought, error) {
	leave, err := s.trials.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	b, c, t, err := p.Bring(ctx, tenantID, generation, given)
	if t == nil {
		t = &Trial{}
	}
	return &brought{p.Fields()[0], b, c, t}, refusedTrial(t, err)
}

// refusedTrial adds to a refusal how far the trial came.
func refusedTrial(t *Trial, err error) error {
	e, ok := err.(*Error) //nolint:errorlint // a provider gives it bare
	if !ok {
		return err
	}
	if len(e.Fields) == 0 && e.Field != "" {
		e = asList([]*Error{e}).(*Error) //nolint:forcetypeassert,errorlint // asList makes nothing else of a list that is not empty
	}
	if len(t.Checks) > 0 {
		e.Details = map[string]any{"checks": t.Checks}
	}
	return e
}

// TestConnection tries a database that an operator would bring. Every try has an audit entry, without what was given.
//
// requestID, which may be empty, names the request that it would be for: what was begun there for that one is no stranger's.
//
// Errors: those of Bringer.Bring, CodeForbidden, CodeNotFound, CodeRateLimited when too many are tried at once; CodeInvalidField for a provider
// whose databases are not brought.
func (s *Service) TestConnection(ctx context.Context, a Actor, o Offer, requestID string) (*Trial, error) {
	if err := a.mayWork(); err != nil {
		return nil, err
	}
	p, err := s.offered(o)
	if err != nil {
		return nil, err
	}
	b, ok := p.(Bringer)
	if !ok {
		return nil, asList([]*Error{FieldError(CodeInvalidField, "provider", "There is nothing to test: "+o.Provider+" makes the database itself.", "Use one of: "+strings.Join(s.BroughtProviders(), ", ")+".")})
	}
	whose, target := Backend{Generation: 1}, "connection"
	if requestID != "" {
		target = requestID
		if whose, err = view(ctx, s, func(tx Tx) (Backend, error) { return begun(ctx, tx, requestID, whose) }); err != nil {
			return nil, err
		}
	}
	x, err := s.bring(ctx, b, whose.TenantID, whose.Generation, o.Given)
	if err != nil {
		return nil, s.auditTrial(ctx, a, "connection.test", target, o.Provider, x, err)
	}
	return mutate(ctx, s, func(u *unit) (*Trial, error) {
		return x.trial, u.audit(ctx, a, "connection.test", target, map[string]any{"provider": o.Provider, "place": x.trial.Place, "ok": true})
	})
}

// begun gives the backend of a request, or other where it has none yet.
func begun(ctx context.Context, tx Tx, requestID string, other Backend) (Backend, error) {
	r, err := tx.Request(ctx, requestID)
	if err != nil || r.TenantID == "" {
		return other, err
	}
	t, err := tx.Tenant(ctx, r.TenantID)
	if err != nil {
		return Backend{}, err
	}
	return t.Backend, nil
}

// auditTrial writes down a trial that was refused, and gives back the refusal.
func (s *Service) auditTrial(ctx context.Context, a Actor, action, target, provider string, x *brought, err error) error {
	if x == nil { // there was no room to try it
		return err
	}
	detail := map[string]any{"provider": provider, "place": x.trial.Place, "ok": false, "code": string(CodeOf(err))}
	if n := len(x.trial.Checks); n > 0 {
		detail["check"] = x.trial.Checks[n-1].Name
	}
	if werr := s.store.Write(ctx, func(tx Tx) error { return (&unit{Tx: tx}).audit(ctx, a, action, target, detail) }); werr != nil {
		return werr // no audit, no answer as if there were one
	}
	return err
}

// bringFor tries a database for a request, for which it looks first whether the operator may give one at all: nobody makes the hub connect
// anywhere by way of a request that is not theirs.
func (s *Service) bringFor(ctx context.Context, a Actor, id string, p Bringer, o Offer) (*brought, error) {
	t, err := view(ctx, s, func(tx Tx) (Backend, error) {
		r, err := tx.Request(ctx, id)
		if err != nil {
			return Backend{}, err
		}
		if err := a.mayMove(r, MoveCredentials); err != nil {
			return Backend{}, err
		}
		if err := r.move(MoveCredentials, tx.Now()); err != nil {
			return Backend{}, err
		}
		t, err := begun(ctx, tx, id, Backend{TenantID: NewID("ten_", tx.Now()), Generation: 1, Provider: p.Name()})
		if err != nil {
			return Backend{}, err
		}
		return t, begunElsewhere(t, p.Name(), t.Place, "provider")
	})
	if err != nil {
		return nil, s.refused(ctx, a, MoveCredentials, id, err)
	}
	x, err := s.bring(ctx, p, t.TenantID, t.Generation, o.Given)
	if err != nil {
		return nil, s.auditTrial(ctx, a, "request.credentials.refused", id, o.Provider, x, err)
	}
	return x, nil
}

// begunElsewhere refuses to change the backend of a request: what was begun in the former one would be left there.
func begunElsewhere(b Backend, provider, place, field string) error {
	switch {
	case b.Provider != provider:
		return asList([]*Error{FieldError(CodeInvalidField, "provider", "This request's backend was begun by "+b.Provider+".", "Use the same provider, or cancel the request.")})
	case b.Place != place:
		return asList([]*Error{FieldError(CodeInvalidField, field, "This request's backend was begun at "+b.Place+".", "Give the credentials of that database, or cancel the request.")})
	}
	return nil
}

// giveBrought writes down the backend that was brought. A request that has it already gets its credentials anew: they may be what was wrong.
func (s *Service) giveBrought(ctx context.Context, u *unit, r *Request, x *brought) error {
	now := u.Now()
	r.CredentialsAt = &now
	if r.TenantID != "" {
		t, err := u.LockTenant(ctx, r.TenantID)
		if err != nil {
			return err
		}
		if err := begunElsewhere(t.Backend, x.backend.Provider, x.backend.Place, x.field); err != nil {
			return err
		}
		if t.ID != x.backend.TenantID { // it got its tenant while the database was tried
			return ErrConflict
		}
		t.State = TenantProvisioning
		if err := s.sealCredentials(t, x.creds); err != nil {
			return err
		}
		return u.UpdateTenant(ctx, t)
	}
	t := &Tenant{
		ID: x.backend.TenantID, RequestID: r.ID, CustomerID: r.CustomerID, State: TenantProvisioning, Backend: x.backend,
		CatalogVersion: s.Catalog().Version, CreatedAt: now,
	}
	if err := s.sealCredentials(t, x.creds); err != nil {
		return err
	}
	if err := u.InsertTenant(ctx, t); err != nil {
		if errors.Is(err, ErrPlaceTaken) {
			return asList([]*Error{FieldError(CodeCredentialsInvalid, x.field, "The database "+x.backend.Place+" is another request's backend.", "Bring another one.")})
		}
		return err
	}
	r.TenantID = t.ID
	return nil
}

// isNotOurs reports a database that carries another tenant's seal.
func isNotOurs(err error) bool {
	var se *StepError
	return errors.As(err, &se) && se.Code == identityMismatch
}
