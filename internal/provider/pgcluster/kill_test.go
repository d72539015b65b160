package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
)

// killAfter ends the provider after n statements and the next one. Like a kill, it ends the connection and tidies nothing.
func killAfter(p *Provider, n int) (came func() bool) {
	at := 0
	p.kill = func(context.Context) error {
		at++
		if at > n {
			return errKilled
		}
		return nil
	}
	return func() bool { return at > n }
}

// untilAlive runs one act on a fresh provider, killed at its first place, then at its second …, and after each kill runs check on another one;
// it ends with the first act that nobody killed.
func (r *rig) untilAlive(act func(p *Provider) error, check func(n int)) {
	r.Helper()
	for n := range 200 {
		p := r.provider()
		came := killAfter(p, n)
		err := act(p)
		if !came() {
			if err != nil {
				r.Fatalf("without a kill: %v", err)
			}
			r.Logf("%d places for a kill", n)
			return
		}
		if !errors.Is(err, errKilled) {
			r.Fatalf("killed at %d: got %v", n, err)
		}
		check(n)
	}
	r.Fatal("it never ends")
}

// names gives what List shows, but for the shared roles.
func (r *rig) names(p *Provider) (out []string) {
	r.Helper()
	all, err := p.List(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	for _, i := range all {
		if i.Marker.Kind != MarkCluster {
			out = append(out, fmt.Sprintf("%s %s", i.Marker.Kind, strings.TrimPrefix(i.Name, p.names.prefix)))
		}
	}
	return out
}

func TestCreateAfterAKillAtEveryStatement(t *testing.T) {
	t.Parallel() // it waits for the server most of the time
	r := newRig(t)
	p := r.provider()
	r.create(p, "ten_first", things) // the template; a kill of its making is another test
	before := r.names(p)
	x := r.plan(p, "ten_1")
	create := func(p *Provider) error {
		p.ready.Store(true)
		return p.Create(t.Context(), x.Backend, x.Credentials, things)
	}
	r.untilAlive(create, func(n int) {
		if err := create(p); err != nil {
			t.Fatalf("after a kill at %d: %v", n, err)
		}
		r.wantThings(p, x, 1)
		if got := len(r.names(p)); got != len(before)+3 {
			t.Fatalf("after a kill at %d: %v", n, r.names(p))
		}
		if err := p.Drop(t.Context(), x.Backend, x.Credentials); err != nil {
			t.Fatal(err)
		}
		if got := r.names(p); !slices.Equal(got, before) {
			t.Fatalf("after a kill at %d and a drop there are %v, want %v", n, got, before)
		}
	})
}

// What a killed Create left and nobody creates again is removed by Drop, wherever it was killed.
func TestDropAfterAKilledCreate(t *testing.T) {
	t.Parallel() // it waits for the server most of the time
	r := newRig(t)
	p := r.provider()
	r.create(p, "ten_first", things)
	before := r.names(p)
	x := r.plan(p, "ten_1")
	create := func(p *Provider) error {
		p.ready.Store(true)
		return p.Create(t.Context(), x.Backend, x.Credentials, things)
	}
	r.untilAlive(create, func(n int) {
		for _, i := range r.list(p) { // reconcile: what says whose it is is dropped as that, the rest removed
			if strings.Contains(i.Name, p.names.database("ten_1", 1)) && n%2 == 0 {
				if _, ok := i.Backend(); !ok {
					if err := p.Remove(t.Context(), i); err != nil && i.Marker.Kind != MarkRole {
						t.Fatalf("after a kill at %d: %v", n, err)
					}
				}
			}
		}
		if err := p.Drop(t.Context(), x.Backend, x.Credentials); err != nil {
			t.Fatalf("after a kill at %d: %v", n, err)
		}
		if got := r.names(p); !slices.Equal(got, before) {
			t.Fatalf("after a kill at %d and a drop there are %v, want %v", n, got, before)
		}
	})
}

func TestDropAfterAKillAtEveryStatement(t *testing.T) {
	t.Parallel() // it waits for the server most of the time
	r := newRig(t)
	p := r.provider()
	x := r.create(p, "ten_1", things)
	drop := func(p *Provider) error { return p.Drop(t.Context(), x.Backend, x.Credentials) }
	r.untilAlive(drop, func(n int) {
		if n%2 == 0 { // either the drop is repeated, or the tenant comes back
			if err := drop(p); err != nil {
				t.Fatalf("after a kill at %d: %v", n, err)
			}
			for _, name := range r.names(p) {
				if !strings.HasPrefix(name, string(MarkTemplate)) {
					t.Fatalf("after a kill at %d and a drop there is %s", n, name)
				}
			}
		}
		if err := p.Create(t.Context(), x.Backend, x.Credentials, things); err != nil {
			t.Fatalf("after a kill at %d: %v", n, err)
		}
		r.wantThings(p, x, 1)
	})
}

func TestTemplateAfterAKillAtEveryStatement(t *testing.T) {
	t.Parallel() // it waits for the server most of the time
	r := newRig(t)
	p := r.provider()
	if err := p.ensureCluster(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.untilAlive(func(p *Provider) error {
		_, err := p.templateFor(t.Context(), things)
		return err
	}, func(n int) {
		if _, err := r.provider().templateFor(t.Context(), things); err != nil {
			t.Fatalf("after a kill at %d: %v", n, err)
		}
		if got := r.names(p); !slices.Equal(got, []string{"template t_things_f1"}) {
			t.Fatalf("after a kill at %d: %v", n, got)
		}
		if err := p.dropTemplate(t.Context(), p.names.template("things")); err != nil {
			t.Fatal(err)
		}
	})
}

func TestSharedRolesAfterAKillAtEveryStatement(t *testing.T) {
	r := newRig(t)
	r.untilAlive(func(p *Provider) error { return p.ensureCluster(t.Context()) }, func(n int) {
		if err := r.provider().ensureCluster(t.Context()); err != nil {
			t.Fatalf("after a kill at %d: %v", n, err)
		}
		r.su(`DROP ROLE ` + quote(newNames(r.installation).owner()) + `, ` + quote(newNames(r.installation).app()))
	})
}

func TestHandOverAfterAKillAtEveryStatement(t *testing.T) {
	r := newRig(t)
	p := r.provider()
	i := 0
	var b hub.Backend
	var c hub.Credentials
	fresh := func() {
		i++
		m := r.plan(p, fmt.Sprintf("%s%d", MemberPrefix, i))
		if _, err := p.Prepare(t.Context(), m.Backend, m.Credentials, things); err != nil {
			t.Fatal(err)
		}
		var err error
		if b, c, err = p.Adopt(m.Backend, m.Credentials, fmt.Sprintf("ten_%d", i), 1); err != nil {
			t.Fatal(err)
		}
	}
	fresh()
	r.untilAlive(func(p *Provider) error { return p.Create(t.Context(), b, c, things) }, func(n int) {
		if err := p.Create(t.Context(), b, c, things); err != nil {
			t.Fatalf("after a kill at %d: %v", n, err)
		}
		r.wantThings(p, planned{b, c}, 1)
		fresh()
	})
}

func (r *rig) list(p *Provider) []Item {
	r.Helper()
	all, err := p.List(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	return all
}

func (r *rig) wantThings(p *Provider, x planned, want int) {
	r.Helper()
	db := r.open(p, x, hub.RoleTenant)
	var n int
	if err := db.QueryRowContext(r.Context(), `SELECT count(*) FROM things`).Scan(&n); err != nil || n != want {
		r.Fatalf("%d things, %v; want %d", n, err, want)
	}
	if err := db.Close(); err != nil {
		r.Fatal(err)
	}
}

// A DROP DATABASE that is interrupted in the middle, as by the end of the hub that waits for it, leaves a database with which the server does
// nothing any more but drop it.
func TestInterruptedDropIsFinished(t *testing.T) {
	r := newRig(t)
	p := r.provider()
	spoil := func(name string) {
		r.su(`UPDATE pg_database SET datconnlimit = -2, datallowconn = false WHERE datname = ` + literal(name))
	}
	x := r.create(p, "ten_1", things)
	name, _, _ := p.database(x.Backend)
	r.su(commentSQL(name, Marker{MarkDropping, "ten_1", 1}.text(p.names.tag)))
	spoil(name)
	if err := p.Drop(t.Context(), x.Backend, x.Credentials); err != nil {
		t.Errorf("dropping again: %v", err)
	}
	r.create(p, "ten_1", things)
	r.su(commentSQL(name, Marker{MarkDropping, "ten_1", 1}.text(p.names.tag)))
	spoil(name)
	y := r.create(p, "ten_1", things) // a new Create ends it, too
	r.wantThings(p, y, 1)

	spoil(p.names.template(things.Key))
	z := r.create(p, "ten_2", things) // by who has just used it
	r.wantThings(p, z, 1)
	spoil(p.names.template(things.Key))
	z = r.create(r.provider(), "ten_3", things) // and by who comes new
	r.wantThings(p, z, 1)

	r.su(`CREATE DATABASE ` + p.names.building("other") + ` OWNER ` + r.role + ` ALLOW_CONNECTIONS false`)
	spoil(p.names.building("other"))
	for _, i := range r.list(p) {
		if i.Name == p.names.building("other") {
			if err := p.Remove(t.Context(), i); err != nil {
				t.Errorf("removing a build that was being dropped: %v", err)
			}
		}
	}
	if got := r.names(p); len(got) != 3*3+1 {
		t.Errorf("left: %v", got)
	}
}
