package providertest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
)

// Run holds a provider against the contract. open gives a provider over an empty place of its own; when it is called twice in one test, with
// the same t, it must give a second provider over the same place, as another process would have it.
func Run(t *testing.T, open func(t *testing.T) hub.Provider) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, suite){
		"PlanIsDeterministic":             planIsDeterministic,
		"PlanRefusesWhatIsNoName":         planRefusesWhatIsNoName,
		"PlanTouchesNothing":              planTouchesNothing,
		"CreateCopiesTheTemplate":         createCopiesTheTemplate,
		"CreateKeepsWhatIsThere":          createKeepsWhatIsThere,
		"CreateWithoutTemplateIsEmpty":    createWithoutTemplateIsEmpty,
		"CreateWithBrokenCatalogIsEmpty":  createWithBrokenCatalogIsEmpty,
		"CreateAfterFailedBuild":          createAfterFailedBuild,
		"CreateAfterCancelledBuild":       createAfterCancelledBuild,
		"CreateEndsWithItsContext":        createEndsWithItsContext,
		"CopiesAreIndependent":            copiesAreIndependent,
		"GenerationsAreIndependent":       generationsAreIndependent,
		"ConcurrentCreatesOfOneTenant":    concurrentCreatesOfOneTenant,
		"ConcurrentCreatesOfManyTenants":  concurrentCreatesOfManyTenants,
		"OpenNeverCreates":                openNeverCreates,
		"OpenForBothRoles":                openForBothRoles,
		"SizeGrows":                       sizeGrows,
		"DropIsIdempotentAndTakesOneOnly": dropIsIdempotentAndTakesOneOnly,
		"ForeignPlacesAreRefused":         foreignPlacesAreRefused,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each has a place of its own, and a server is waited for most of the time
			test(t, suite{T: t, open: func() hub.Provider { return open(t) }})
		})
	}
}

// suite is one test's view: helpers that end the test when what they need does not work.
type suite struct {
	*testing.T
	open func() hub.Provider
}

// tenant is a planned backend.
type tenant struct {
	hub.Backend
	hub.Credentials
}

func (s suite) plan(p hub.Provider, id string, generation int64) tenant {
	s.Helper()
	b, c, err := p.Plan(s.Context(), id, generation)
	if err != nil {
		s.Fatalf("planning %s: %v", id, err)
	}
	return tenant{b, c}
}

func (s suite) create(p hub.Provider, x tenant, t hub.Template) {
	s.Helper()
	if err := p.Create(s.Context(), x.Backend, x.Credentials, t); err != nil {
		s.Fatalf("creating %s: %v", x.TenantID, err)
	}
}

// with runs f on an open database and closes it, as the pipeline does between steps.
func (s suite) with(p hub.Provider, x tenant, r hub.Role, f func(*sql.DB)) {
	s.Helper()
	db, err := p.Open(s.Context(), x.Backend, x.Credentials, r)
	if err != nil {
		s.Fatalf("opening %s: %v", x.TenantID, err)
	}
	f(db)
	if err := db.Close(); err != nil {
		s.Fatalf("closing %s: %v", x.TenantID, err)
	}
}

func (s suite) exec(p hub.Provider, x tenant, query string) {
	s.Helper()
	s.with(p, x, hub.RoleOwner, func(db *sql.DB) {
		if _, err := db.ExecContext(s.Context(), query); err != nil {
			s.Fatalf("%s: %v", query, err)
		}
	})
}

// items gives the number of rows in the template's table; -1 where there is no such table.
func (s suite) items(p hub.Provider, x tenant) int {
	s.Helper()
	n := -1
	s.with(p, x, hub.RoleOwner, func(db *sql.DB) {
		if err := db.QueryRowContext(s.Context(), `SELECT count(*) FROM items`).Scan(&n); err != nil {
			n = -1
		}
	})
	return n
}

func (s suite) wantItems(p hub.Provider, x tenant, want int) {
	s.Helper()
	if n := s.items(p, x); n != want {
		s.Errorf("tenant %s has %d items, want %d (-1: no table)", x.TenantID, n, want)
	}
}

// seeded is how many rows the template's table has.
const seeded = 3

// template counts its builds; fail, when set, is run halfway through each of them.
type template struct {
	hub.Template
	builds atomic.Int32
}

func newTemplate(key string, fail func(ctx context.Context) error) *template {
	t := &template{}
	t.Key = key
	t.Build = func(ctx context.Context, db *sql.DB) error {
		t.builds.Add(1)
		if _, err := db.ExecContext(ctx, `CREATE TABLE items (id INTEGER PRIMARY KEY, note TEXT)`); err != nil {
			return err
		}
		if fail != nil {
			if err := fail(ctx); err != nil {
				return err
			}
		}
		for i := range seeded {
			if _, err := db.ExecContext(ctx, fmt.Sprintf(`INSERT INTO items VALUES (%d, 'seed')`, i)); err != nil {
				return err
			}
		}
		return nil
	}
	return t
}

func (s suite) wantClass(what string, err error, class hub.Class) {
	s.Helper()
	var fault *hub.StepError
	if !errors.As(err, &fault) || fault.Class != class {
		s.Errorf("%s: got %v, want a *hub.StepError of class %s", what, err, class)
	}
}
