package pgcluster

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// rig is a part of a cluster of its own: an admin role with CREATEDB and CREATEROLE and nothing more, and an installation no other test has.
type rig struct {
	*testing.T
	super        string // the superuser's address
	admin        string // the hub's own
	role         string
	installation string
}

var rigs sync.Map // by test, since a second provider in one test is over the same place

func newRig(t *testing.T) *rig {
	t.Helper()
	if r, ok := rigs.Load(t.Name()); ok {
		return r.(*rig)
	}
	r := rigOn(t, testkit.ServerURL(t))
	rigs.Store(t.Name(), r)
	t.Cleanup(func() { rigs.Delete(t.Name()) })
	return r
}

func rigOn(t *testing.T, super string) *rig {
	t.Helper()
	r := &rig{T: t, super: super, installation: "t" + strings.ToLower(rand.Text()[:12])}
	r.role = "kt_" + r.installation
	r.su(`CREATE ROLE ` + r.role + ` LOGIN CREATEDB CREATEROLE PASSWORD 'secret'`)
	u, err := url.Parse(super)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(r.role, "secret")
	r.admin = u.String()
	t.Cleanup(r.clean)
	return r
}

// clean removes all of the installation, whatever a failed test left.
func (r *rig) clean() {
	conn, err := pgx.Connect(context.Background(), r.super)
	if err != nil {
		r.Error(err)
		return
	}
	defer func() { _ = conn.Close(context.Background()) }()
	prefix := newNames(r.installation).prefix
	drop := func(query, sql string) {
		rows, err := conn.Query(context.Background(), query, prefix)
		if err != nil {
			r.Error(err)
			return
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			r.Error(err)
		}
		for _, n := range names {
			if _, err := conn.Exec(context.Background(), strings.ReplaceAll(sql, "?", quote(n))); err != nil {
				r.Errorf("cleaning up: %v", err)
			}
		}
	}
	drop(`SELECT datname FROM pg_database WHERE starts_with(datname, $1)`, `DROP DATABASE ? WITH (FORCE)`)
	drop(`SELECT rolname FROM pg_roles WHERE starts_with(rolname, $1)`, `DROP OWNED BY ?; DROP ROLE ?`)
	if _, err := conn.Exec(context.Background(), `DROP OWNED BY `+r.role+`; DROP ROLE `+r.role); err != nil {
		r.Errorf("cleaning up: %v", err)
	}
}

// su runs statements as the superuser.
func (r *rig) su(sql string) {
	r.Helper()
	conn := r.connect(r.super)
	if _, err := conn.Exec(context.Background(), sql); err != nil {
		r.Fatalf("%v\n%s", err, sql)
	}
	_ = conn.Close(context.Background())
}

func (r *rig) connect(address string) *pgx.Conn {
	r.Helper()
	conn, err := pgx.Connect(r.Context(), address)
	if err != nil {
		r.Fatal(err)
	}
	return conn
}

// one asks the superuser.
func one[T any](r *rig, sql string, args ...any) (v T) {
	r.Helper()
	conn := r.connect(r.super)
	defer func() { _ = conn.Close(context.Background()) }()
	if err := conn.QueryRow(r.Context(), sql, args...).Scan(&v); err != nil {
		r.Fatalf("%v\n%s", err, sql)
	}
	return v
}

// provider gives another process's view, as it were.
func (r *rig) provider(change ...func(*Config)) *Provider {
	r.Helper()
	c := Config{Name: "test", AdminURL: r.admin, Installation: r.installation, MaxConns: 6}
	for _, f := range change {
		f(&c)
	}
	p, err := New(c)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() {
		if err := p.Close(); err != nil {
			r.Error(err)
		}
		if p.budget.open != 0 {
			r.Errorf("%d connections are still counted as open", p.budget.open)
		}
	})
	return p
}

type planned struct {
	hub.Backend
	hub.Credentials
}

func (r *rig) plan(p *Provider, id string) planned {
	r.Helper()
	b, c, err := p.Plan(r.Context(), id, 1)
	if err != nil {
		r.Fatal(err)
	}
	return planned{b, c}
}

func (r *rig) create(p *Provider, id string, t hub.Template) planned {
	r.Helper()
	x := r.plan(p, id)
	if err := p.Create(r.Context(), x.Backend, x.Credentials, t); err != nil {
		r.Fatal(err)
	}
	return x
}

func (r *rig) open(p *Provider, x planned, role hub.Role) *sql.DB {
	r.Helper()
	db, err := p.Open(r.Context(), x.Backend, x.Credentials, role)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = db.Close() })
	return db
}

func (r *rig) wantFault(what string, err error, class hub.Class, code string) {
	r.Helper()
	var step *hub.StepError
	if !errors.As(err, &step) || step.Class != class || step.Code != code {
		r.Errorf("%s: got %v (%+v), want class %s, code %q", what, err, step, class, code)
	}
}

// things is one table.
var things = hub.Template{Key: "things", Build: func(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, `CREATE TABLE things (id integer PRIMARY KEY, note text); INSERT INTO things VALUES (1, 'seed')`)
	return err
}}
