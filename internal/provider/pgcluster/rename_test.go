package pgcluster

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/hub"
)

// renamed gives a database another of the hub's names, as an administrator may, and what a survey then says of it.
func (r *rig) renamed(p *Provider, x planned) hub.Found {
	r.Helper()
	name, _, _ := p.database(x.Backend)
	other := p.names.prefix + strings.Repeat("z", 26)
	r.su(`ALTER DATABASE ` + name + ` RENAME TO ` + other)
	return hub.Found{Provider: Name, Part: p.name, Name: other, Place: p.place(other), Kind: hub.FoundDatabase, State: hub.FoundWhole, Owner: x.Backend}
}

func TestRenameAfterAKillAtEveryStatement(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.provider()
	x := r.create(p, "ten_1", things)
	name, _, _ := p.database(x.Backend)
	f := r.renamed(p, x)
	session := r.connect(with(t, x.URL, f.Name, "")) // its program has found it there
	r.untilAlive(func(p *Provider) error { return p.Rename(t.Context(), f, x.Backend) }, func(n int) {
		for range 2 {
			if err := p.Rename(t.Context(), f, x.Backend); err != nil {
				t.Fatalf("after a kill at %d: %v", n, err)
			}
		}
		if n == 0 && session.Ping(t.Context()) == nil {
			t.Error("a session lives on")
		}
		r.wantThings(p, x, 1)
		r.su(`ALTER DATABASE ` + name + ` RENAME TO ` + f.Name)
	})
	r.wantThings(p, x, 1)
}

func TestRenameRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.provider()
	x := r.create(p, "ten_1", things)
	name, _, _ := p.database(x.Backend)
	f := r.renamed(p, x)
	stranger := x.Backend
	stranger.TenantID = "ten_2"
	r.wantFault("for another tenant", p.Rename(t.Context(), f, stranger), hub.ClassData, "FOREIGN_DATABASE")

	r.su(`CREATE DATABASE ` + name + ` OWNER ` + r.role)
	r.wantFault("over another database", p.Rename(t.Context(), f, x.Backend), hub.ClassData, "FOREIGN_DATABASE")
	r.su(`DROP DATABASE ` + name)

	busy := r.connect(r.admin)
	if _, err := busy.Exec(t.Context(), `SELECT pg_advisory_lock($1)`, lockKey(f.Name)); err != nil {
		t.Fatal(err)
	}
	r.wantFault("while somebody works on it", p.Rename(t.Context(), f, x.Backend), hub.ClassNetwork, codeLock)
	if err := busy.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	super := r.connect(with(t, r.super, f.Name, "")) // whom the hub may not show out
	r.wantFault("while an administrator is in it", p.Rename(t.Context(), f, x.Backend), hub.ClassNetwork, codeInUse)
	if err := super.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	elsewhere := f
	elsewhere.Name = "postgres"
	r.wantFault("of what is not the hub's", p.Rename(t.Context(), elsewhere, x.Backend), hub.ClassBug, "")
	if err := p.Rename(t.Context(), f, x.Backend); err != nil {
		t.Fatal(err)
	}
	r.wantThings(p, x, 1)
}

// A dump that was restored without roles: the customer's old details work again, whatever the kill leaves.
func TestReleaseMakesLostLoginsAfterAKillAtEveryStatement(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.provider()
	x := r.create(p, "ten_1", things)
	name, _, _ := p.database(x.Backend)
	lose := func(roles ...string) {
		for _, role := range roles {
			r.su(`REVOKE ALL ON DATABASE ` + name + ` FROM ` + role + `; DROP ROLE ` + role)
		}
	}
	release := func(p *Provider) error { p.ready.Store(true); return p.Release(t.Context(), x.Backend, x.Credentials) }
	lose(name+ownerSuffix, name+runtimeSuffix)
	r.untilAlive(release, func(n int) {
		if err := release(p); err != nil {
			t.Fatalf("after a kill at %d: %v", n, err)
		}
		r.wantThings(p, x, 1)
		lose(name+ownerSuffix, name+runtimeSuffix)
	})
	r.wantThings(p, x, 1)

	lose(name + runtimeSuffix)
	r.su(`CREATE ROLE ` + name + runtimeSuffix)
	r.wantFault("with a foreign role", release(p), hub.ClassData, "FOREIGN_ROLE")
	r.su(`DROP ROLE ` + name + runtimeSuffix)
	other := x.Backend
	other.TenantID = "ten_2"
	if err := p.Release(t.Context(), other, x.Credentials); err == nil {
		t.Error("another tenant's logins were made")
	}
	if conn, err := pgx.Connect(t.Context(), x.URL); err == nil {
		_ = conn.Close(t.Context())
		t.Error("its program gets in")
	}
	if err := release(p); err != nil {
		t.Fatal(err)
	}
	r.wantThings(p, x, 1)
}
