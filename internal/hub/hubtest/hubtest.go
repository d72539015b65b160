// Package hubtest builds a hub for tests of the use cases: the real domain on a real store of either engine, with the real provider of SQLite
// files, the real tenant databases and the real vault; only the job engine, the mailer and the catalog's files are the test's.
package hubtest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/catalog"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/provider/sqlitefile"
	"github.com/kitshub/kitshub/internal/store"
	"github.com/kitshub/kitshub/internal/tenantdb"
	"github.com/kitshub/kitshub/internal/testkit"
	"github.com/kitshub/kitshub/internal/vault"
)

// Engines open an empty, migrated store.
var Engines = map[string]func(testing.TB) *store.Store{"sqlite": SQLite, "postgres": Postgres}

// OnBoth runs a test on both engines, beside other tests.
func OnBoth(t *testing.T, test func(*testing.T, *Rig)) {
	t.Parallel()
	for name, open := range Engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, New(t, open(t)))
		})
	}
}

var golden = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "golden")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := store.OpenSQLite(dir)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.Migrate(context.Background()), s.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "hub.db"))
})

// SQLite opens an empty embedded store.
func SQLite(t testing.TB) *store.Store {
	t.Helper()
	b, err := golden()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hub.db"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return closing(t)(store.OpenSQLite(dir))
}

// Postgres opens an empty store in a database of its own.
func Postgres(t testing.TB) *store.Store {
	t.Helper()
	url := testkit.PostgresFrom(t, "the hub's schema", func(url string) error {
		s, err := store.OpenPostgres(context.Background(), url, store.Options{ConnectTimeout: patience})
		if err != nil {
			return err
		}
		return errors.Join(s.Migrate(context.Background()), s.Close())
	})
	return closing(t)(store.OpenPostgres(t.Context(), url, store.Options{ConnectTimeout: patience}))
}

func closing(t testing.TB) func(*store.Store, error) *store.Store {
	return func(s *store.Store, err error) *store.Store {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	}
}

// Rig is one hub process.
type Rig struct {
	*hub.Service
	T        testing.TB
	Store    *Store
	Real     *store.Store
	Jobs     *Jobs
	Catalogs *Catalogs
	Files    *sqlitefile.Provider
	TenantDB *TenantDB
	Meter    *Meter
	Mailer   *Mailer
	Events   *Events
	Deps     hub.Deps
}

// New makes a hub on the store.
func New(t testing.TB, real *store.Store) *Rig {
	t.Helper()
	files, err := sqlitefile.New(sqlitefile.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	key, err := vault.OpenKey("base64:"+base64.StdEncoding.EncodeToString(secret[:]), t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(t.Context(), key, real)
	if err != nil {
		t.Fatal(err)
	}
	cat := Catalog()
	r := &Rig{
		T: t, Real: real, Jobs: &Jobs{}, Catalogs: &Catalogs{now: cat, files: cat}, Files: files,
		TenantDB: &TenantDB{TenantDB: tenantdb.New(catalog.Split)}, Meter: &Meter{}, Mailer: &Mailer{}, Events: &Events{},
	}
	r.Deps = hub.Deps{
		Jobs: r.Jobs, Catalogs: r.Catalogs, Providers: map[string]hub.Provider{"sqlite": files}, Default: "sqlite", TenantDB: r.TenantDB, Vault: v,
		Tokens: Tokens{}, Passwords: NewPasswords(), Events: r.Events, Meter: r.Meter, Mailer: r.Mailer,
		Log: slog.New(slog.DiscardHandler), PublicURL: "https://hub.example/", Instance: "ins_1", Home: "home", Workers: 2,
	}
	r.start()
	return r
}

func (r *Rig) start() {
	r.Store = &Store{Store: r.Real, jobs: r.Jobs}
	r.Deps.Store = r.Store
	r.Service = hub.New(r.Deps)
}

// Another is one more process on the same data: with the same home it takes the first one's place, with another it runs beside it.
func (r *Rig) Another(instance, home string) *Rig {
	o := *r
	o.Deps.Instance, o.Deps.Home = instance, home
	o.start()
	return &o
}

// With is the same process with other parts.
func (r *Rig) With(change func(*hub.Deps)) *Rig {
	o := *r
	change(&o.Deps)
	o.start()
	return &o
}

// Perform runs one job.
func (r *Rig) Perform(ctx context.Context, j Job) error {
	switch j.Kind {
	case "provision":
		return r.Provision(ctx, j.ID)
	case "cleanup":
		return r.Cleanup(ctx, j.ID)
	case "retry":
		return r.RetryByItself(ctx, j.Again)
	case "mail":
		return r.SendMail(ctx, "mail_"+j.ID, j.Mail)
	}
	return fmt.Errorf("a job of kind %q", j.Kind)
}

// Work performs every job, and those they bring, until none is left but the hub's own retries, whose time has not come.
func (r *Rig) Work() {
	r.T.Helper()
	var later []Job
	defer func() { r.Jobs.add(later...) }()
	for jobs := r.Jobs.Take(); len(jobs) > 0; jobs = r.Jobs.Take() {
		for _, j := range jobs {
			if j.Kind == "retry" {
				later = append(later, j)
				continue
			}
			if err := r.Perform(r.T.Context(), j); err != nil {
				r.T.Fatalf("%s %s: %v", j.Kind, j.ID, err)
			}
		}
	}
}

// Get reads one value from the store.
func Get[T any](r *Rig, fn func(context.Context, hub.Tx) (T, error)) T {
	r.T.Helper()
	var v T
	ctx := context.WithoutCancel(r.T.Context())
	if err := r.Real.Read(ctx, func(tx hub.Tx) (err error) { v, err = fn(ctx, tx); return err }); err != nil {
		r.T.Fatal(err)
	}
	return v
}

// Put writes to the store behind the hub's back.
func (r *Rig) Put(fn func(context.Context, hub.Tx) error) {
	r.T.Helper()
	ctx := context.WithoutCancel(r.T.Context())
	if err := r.Real.Write(ctx, func(tx hub.Tx) error { return fn(ctx, tx) }); err != nil {
		r.T.Fatal(err)
	}
}

// Row reads a request.
func (r *Rig) Row(id string) *hub.Request {
	r.T.Helper()
	return Get(r, func(ctx context.Context, tx hub.Tx) (*hub.Request, error) { return tx.Request(ctx, id) })
}

// Log gives the audit log of a target, oldest first.
func (r *Rig) Log(target string) (actions []string) {
	r.T.Helper()
	for _, e := range Get(r, func(ctx context.Context, tx hub.Tx) ([]*hub.AuditEntry, error) {
		return tx.ListAudit(ctx, target, "", 0)
	}) {
		actions = append([]string{e.Action}, actions...)
	}
	return actions
}

// Join signs a company up.
func (r *Rig) Join(email, plan string) hub.SignedUp {
	r.T.Helper()
	s, err := r.SignUp(r.T.Context(), hub.SignUp{Email: email, CompanyName: "Company of " + email, ContactName: "Jo", Plan: plan})
	if err != nil {
		r.T.Fatal(err)
	}
	return s
}

// Operator makes an operator and gives them as an actor.
func (r *Rig) Operator(name string, rank hub.Rank) hub.Actor {
	r.T.Helper()
	o := &hub.Operator{ID: hub.NewID("opr_", time.Now()), Email: name + "@hub.example", Name: name, Rank: rank, PasswordHash: "none", CreatedAt: time.Now()}
	r.Put(func(ctx context.Context, tx hub.Tx) error { return tx.InsertOperator(ctx, o) })
	return hub.Actor{Kind: hub.ByPerson, ID: o.ID, Name: name, Rank: rank}
}
