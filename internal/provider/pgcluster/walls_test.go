package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
)

// nameOf is a tenant's database.
func (r *rig) nameOf(p *Provider, x planned) string {
	r.Helper()
	name, _, err := p.database(x.Backend)
	if err != nil {
		r.Fatal(err)
	}
	return name
}

// as runs statements on a connection of their own and gives the error.
func (r *rig) as(address, sql string) error {
	r.Helper()
	conn := r.connect(address)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err := conn.Exec(r.Context(), sql)
	return err
}

// A customer who gives a neighbour rights on what is his own keeps the neighbour's login neither from being ready nor from being dropped.
func TestRightsThatANeighbourGave(t *testing.T) {
	r := newRig(t)
	p := r.provider()
	x, y := r.create(p, "ten_x", things), r.create(p, "ten_y", things)
	nameY := r.nameOf(p, y)
	if err := r.as(x.URL, fmt.Sprintf(`SELECT lo_create(4711); GRANT SELECT ON LARGE OBJECT 4711 TO %[1]s_r, %[1]s_o;
		ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO %[1]s_r`, nameY)); err != nil {
		t.Fatal(err)
	}
	if err := p.Drop(t.Context(), y.Backend, y.Credentials); err != nil {
		t.Error(err)
	}
	if n := one[int](r, `SELECT count(*) FROM pg_roles WHERE starts_with(rolname, $1)`, nameY); n != 0 {
		t.Errorf("%d logins are left", n)
	}
	if err := r.as(x.URL, `SELECT lo_get(4711)`); err != nil {
		t.Errorf("his own was touched: %v", err)
	}
	if one[bool](r, `SELECT pg_has_role($1, $2, 'MEMBER')`, r.role, r.nameOf(p, x)+runtimeSuffix) {
		t.Error("the hub kept a login that it took for the dropping")
	}
}

// What the hub may not take away it names, with the SQL that does.
func TestRightsThatTheHubMayNotTakeAway(t *testing.T) {
	r := newRig(t)
	p := r.provider()
	x := r.create(p, "ten_1", things)
	elsewhere := p.names.prefix + "elsewhere"
	r.su(`CREATE DATABASE ` + elsewhere)
	grant := `SELECT lo_create(4711); GRANT SELECT ON LARGE OBJECT 4711 TO ` + r.nameOf(p, x) + runtimeSuffix
	if err := r.as(with(t, r.super, elsewhere, ""), grant); err != nil {
		t.Fatal(err)
	}
	err := p.Drop(t.Context(), x.Backend, x.Credentials)
	r.wantFault("dropping", err, hub.ClassData, "ROLE_IN_USE")
	mend := `DROP OWNED BY "` + r.nameOf(p, x) + runtimeSuffix + `"`
	if err == nil || !strings.Contains(err.Error(), mend) || !strings.Contains(err.Error(), elsewhere) {
		t.Fatalf("it names neither place nor SQL: %v", err)
	}
	if err := r.as(with(t, r.super, elsewhere, ""), mend); err != nil {
		t.Fatal(err)
	}
	if err := p.Drop(t.Context(), x.Backend, x.Credentials); err != nil {
		t.Error(err)
	}
	if got := r.names(p); len(got) != 2 { // the template, and what is not the hub's
		t.Errorf("left: %v", got)
	}
}

// Where others may make functions, as in the schema public of a server that was upgraded from Postgres 14, one that fits better than the
// server's own would run with the hub's rights.
func TestNothingOfOthersRunsAsTheHub(t *testing.T) {
	r := newRig(t)
	open := newNames(r.installation).prefix + "maintenance"
	r.su(`CREATE DATABASE ` + open)
	if err := r.as(with(t, r.super, open, ""), `
		GRANT CREATE ON SCHEMA public TO PUBLIC;
		CREATE FUNCTION public.trap() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'it ran as %', current_user; END $$;
		CREATE FUNCTION public.starts_with(name, text) RETURNS boolean LANGUAGE sql AS 'SELECT public.trap() IS NULL';
		CREATE FUNCTION public.shobj_description(oid, text) RETURNS text LANGUAGE sql AS 'SELECT public.trap()';
		CREATE FUNCTION public.pg_database_size(text) RETURNS bigint LANGUAGE sql AS 'SELECT length(public.trap())::bigint';
		CREATE FUNCTION public.pg_has_role(name, oid, text) RETURNS boolean LANGUAGE sql AS 'SELECT public.trap() IS NULL'`); err != nil {
		t.Fatal(err)
	}
	p := r.provider(func(c *Config) { c.MaintenanceDB = open })
	x := r.create(p, "ten_1", things)
	_, listing := p.List(t.Context())
	_, surveying := p.Survey(t.Context())
	_, sizing := p.Size(t.Context(), x.Backend, x.Credentials)
	_, examining := p.Doctor(t.Context())
	if err := errors.Join(listing, surveying, sizing, examining, p.Drop(t.Context(), x.Backend, x.Credentials)); err != nil {
		t.Error(err)
	}
}

// A door that stands open is told of whatever the database is called, one of ours most of all.
func TestDoctorTellsOfOpenDoors(t *testing.T) {
	r := newRig(t)
	p := r.provider()
	x := r.create(p, "ten_1", things)
	other := "khan_" + r.installation
	r.su(`CREATE DATABASE ` + other)
	defer r.su(`DROP DATABASE ` + other)
	for _, name := range []string{other, r.nameOf(p, x)} {
		r.su(`GRANT CONNECT ON DATABASE ` + name + ` TO PUBLIC`)
		mend := `REVOKE CONNECT ON DATABASE "` + name + `" FROM PUBLIC;`
		tells := func() bool {
			found, err := p.Doctor(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				if strings.HasPrefix(f.SQL, mend) {
					r.su(f.SQL)
					return true
				}
			}
			return false
		}
		if !tells() || tells() {
			t.Errorf("the door of %s is not told of once, and mended by the SQL", name)
		}
	}
}
