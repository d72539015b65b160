package external

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kitshub/kitshub/internal/egress"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/provider"
)

const (
	trialTime   = 9 * time.Second // for all of a trial, so that it is over within the ten seconds that are promised
	connectTime = 5 * time.Second // for reaching the server, TLS and login
	minVersion  = 15              // a schema public that not everybody may write to

	// conns is how many connections the pipeline has open at most: two as the owner, one as the customer's program.
	conns = 3
)

// whose says for whom a database is examined; the zero value is for nobody.
type whose struct {
	tenantID   string
	generation int64
}

// trial examines one database, check by check.
type trial struct {
	a      address
	dialer *egress.Dialer
	who    whose
	begun  time.Time
	out    *hub.Trial
	db     *sql.DB
	me     standing
}

// standing is what the role is and may in the database.
type standing struct {
	user, database       string
	super, bypass, roles bool // superuser, BYPASSRLS, CREATEROLE
	createInDB           bool
	createInPublic       sql.NullBool // null: there is no schema public
	firstSchema          string       // where unqualified names are made
	standby, readOnly    bool
	template             bool // CREATE DATABASE copies it, or may
	limit                int  // connections of this role, -1: no limit
	compat               string
	supabase             bool
}

// examine finds out whether a database may be used: it connects, and looks at version, rights, room and contents. What it tries, it rolls back.
// The trial it gives says how far it came, also with an error; that is a *fault.
func examine(ctx context.Context, d *egress.Dialer, a address, who whose) (*hub.Trial, error) {
	ctx, cancel := context.WithTimeout(ctx, trialTime)
	defer cancel()
	t := &trial{a: a, dialer: d, who: who, begun: time.Now(), out: &hub.Trial{Place: a.place()}}
	err := t.run(ctx)
	t.out.Took = time.Since(t.begun)
	return t.out, err
}

func (t *trial) run(ctx context.Context) (err error) {
	if err := t.check(ctx, "address", t.address); err != nil {
		return err
	}
	if t.db, err = t.a.open(t.dialer, conns); err != nil {
		return err
	}
	defer func() {
		if cerr := t.db.Close(); err == nil && cerr != nil {
			err = t.a.explain(ctx, "closing", cerr)
		}
	}()
	for _, c := range []struct {
		name string
		look func(context.Context) (string, error)
	}{
		{"connect", t.connect}, {"version", t.version}, {"primary", t.primary}, {"contents", t.contents}, {"rights", t.rights}, {"room", t.room},
	} {
		if err := t.check(ctx, c.name, c.look); err != nil {
			return err
		}
	}
	return nil
}

// check runs one look and writes down what came of it.
func (t *trial) check(ctx context.Context, name string, look func(context.Context) (string, error)) error {
	begun := time.Now()
	detail, err := look(ctx)
	c := hub.Check{Name: name, OK: err == nil, Detail: detail, Took: time.Since(begun)}
	var f *fault
	if err != nil {
		f = t.a.explain(ctx, "examining ("+name+")", err)
		c.Detail = f.message
	}
	t.out.Checks = append(t.out.Checks, c)
	if f == nil {
		return nil
	}
	return f
}

func (t *trial) address(ctx context.Context) (string, error) {
	addrs, err := t.dialer.Lookup(ctx, t.a.host)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s leads to %s.", t.a.host, addrs[0].Unmap()), nil
}

func (t *trial) connect(ctx context.Context) (detail string, err error) {
	err = raw(ctx, t.db, func(c *pgconn.PgConn) error {
		t.out.ServerVersion = firstWord(c.ParameterStatus("server_version"))
		if tls := encrypted(c.Conn()); tls != "" {
			detail = "Logged in over " + tls + "."
		} else {
			detail = "Logged in. The connection is not encrypted."
		}
		return nil
	})
	return detail, err
}

func firstWord(s string) string {
	word, _, _ := strings.Cut(s, " ")
	return word[:min(len(word), 40)]
}

// version goes by what the server says when it is connected to, before anything is asked that an old one may not know.
func (t *trial) version(context.Context) (string, error) {
	v := t.out.ServerVersion
	digits := strings.IndexFunc(v, func(c rune) bool { return c < '0' || c > '9' })
	if digits < 0 {
		digits = len(v)
	}
	major, err := strconv.Atoi(v[:digits])
	if err != nil || major < minVersion {
		return "", &fault{
			code: hub.CodeConnectionFailed, class: hub.ClassData, native: "VERSION",
			message: fmt.Sprintf("The server's version is %q; the oldest that serves is %d.", v, minVersion), fix: "Upgrade it, or bring a database on a newer one.",
		}
	}
	return "Postgres " + v + ".", nil
}

const standingSQL = `
SELECT current_user, current_database(), r.rolsuper, r.rolbypassrls, r.rolcreaterole OR r.rolsuper,
  has_database_privilege(current_database(), 'CREATE'),
  (SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = 'public'),
  coalesce(current_schema(), ''), pg_is_in_recovery(), current_setting('transaction_read_only')::bool,
  (SELECT datistemplate OR datname IN ('template0', 'template1') FROM pg_database WHERE datname = current_database()), r.rolconnlimit,
  (SELECT coalesce(string_agg(rolname, ', ' ORDER BY rolname), '') FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')),
  ` + isSupabase + `
FROM pg_roles r WHERE r.rolname = current_user`

// isSupabase is true in a database that Supabase has furnished: its roles are there and an auth.uid() that is not our stand-in.
const isSupabase = `(
  (SELECT count(*) FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')) = 3
  AND EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'auth' AND p.proname = 'uid' AND p.pronargs = 0
    AND coalesce(obj_description(n.oid, 'pg_namespace'), '') <> 'kitshub:compat'))`

func (t *trial) primary(ctx context.Context) (string, error) {
	m := &t.me
	err := t.db.QueryRowContext(ctx, standingSQL).Scan(&m.user, &m.database, &m.super, &m.bypass, &m.roles, &m.createInDB, &m.createInPublic, &m.firstSchema,
		&m.standby, &m.readOnly, &m.template, &m.limit, &m.compat, &m.supabase)
	switch {
	case err != nil:
		return "", err
	case m.standby, m.readOnly:
		return "", &fault{
			code: hub.CodeConnectionFailed, class: hub.ClassAuth, native: codeNotReadable,
			message: "The server takes no writes: it is a standby or set to read-only.", fix: "Give the address of the primary.",
		}
	}
	return "It takes writes.", nil
}

// contents refuses a database with anything in it that is not this tenant's, and one whose contents go into other databases.
func (t *trial) contents(ctx context.Context) (string, error) {
	if t.me.template {
		return "", &fault{
			code: hub.CodeCredentialsInvalid, class: hub.ClassData, native: "TEMPLATE_DATABASE",
			message: "The database is a template: what is in it is copied into databases that are made from it; it was not touched.",
			fix:     "Bring a database of its own: CREATE DATABASE app;",
		}
	}
	s, err := readSeal(ctx, t.db)
	if err != nil {
		return "", err
	}
	if s.found {
		if s.who != t.who {
			return "", taken(s)
		}
		return "It is this tenant's already.", nil
	}
	n, first, err := foreign(ctx, t.db, t.me.supabase)
	switch {
	case err != nil:
		return "", err
	case n > 0:
		return "", notEmpty(n, first)
	case t.me.supabase:
		return "It is empty but for what Supabase put there.", nil
	}
	return "It is empty.", nil
}

func taken(s seal) *fault {
	return &fault{
		code: hub.CodeCredentialsInvalid, class: hub.ClassData, native: "FOREIGN_DATABASE",
		message: "The database carries the seal of another tenant (" + s.who.tenantID + "); it was not touched.", fix: "Bring an empty database.",
	}
}

func notEmpty(n int, first string) *fault {
	what := "one thing in it is"
	if n > 1 {
		what = fmt.Sprintf("%d things in it are", n)
	}
	return &fault{
		code: hub.CodeCredentialsInvalid, class: hub.ClassData, native: "FOREIGN_DATABASE",
		message: fmt.Sprintf("The database is not empty: %s not the hub's, as %s; it was not touched.", what, first), fix: "Bring an empty database.",
	}
}

func (t *trial) rights(ctx context.Context) (string, error) {
	m := t.me
	lack := func(what, fix string) (string, error) {
		return "", &fault{code: hub.CodeCredentialsInvalid, class: hub.ClassAuth, native: codeNoRight, message: what, fix: fix}
	}
	db, user := ident(m.database), ident(m.user)
	switch {
	case !m.createInPublic.Valid:
		return lack("The database has no schema public.", "CREATE SCHEMA public AUTHORIZATION "+user+";")
	case !m.createInDB && !m.createInPublic.Bool:
		return lack("The user may make neither schemas in the database nor tables in its schema public.", "GRANT CREATE ON DATABASE "+db+" TO "+user+"; GRANT CREATE ON SCHEMA public TO "+user+";")
	case !m.createInDB:
		return lack("The user may not make schemas in the database.", "GRANT CREATE ON DATABASE "+db+" TO "+user+";")
	case !m.createInPublic.Bool:
		return lack("The user may not make tables in the schema public.", "GRANT CREATE ON SCHEMA public TO "+user+";")
	case m.firstSchema != "public":
		return lack("The user's search_path does not begin with public, so programs would look for the tables elsewhere.", "ALTER ROLE "+user+" IN DATABASE "+db+" SET search_path = public;")
	}
	if err := t.rehearse(ctx); err != nil {
		return "", err
	}
	return t.standingWords(), nil
}

// rehearse does what the pipeline will, and takes it back.
func (t *trial) rehearse(ctx context.Context) error {
	return provider.Again(ctx, func() error {
		tx, err := t.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, fmt.Sprintf(`SET LOCAL lock_timeout = %d;`, provider.LockTimeout.Milliseconds())+rehearsal)
		return errors.Join(err, tx.Rollback())
	})
}

const rehearsal = `
CREATE SCHEMA kitshub_rehearsal;
CREATE TABLE public.kitshub_rehearsal (n integer PRIMARY KEY);
ALTER TABLE public.kitshub_rehearsal ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.kitshub_rehearsal FORCE ROW LEVEL SECURITY;
CREATE FUNCTION kitshub_rehearsal.one() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;
CREATE POLICY rehearsal ON public.kitshub_rehearsal USING (kitshub_rehearsal.one() = 1);`

// standingWords tells what an operator should know of a role that serves.
func (t *trial) standingWords() string {
	m := t.me
	words := "The user may make what the catalog needs."
	if m.super || m.bypass {
		words += " It passes row-level security: give the customer's program a role that does not."
	}
	switch {
	case m.supabase:
		words += " Supabase's own roles and auth functions are used."
	case strings.Count(m.compat, ", ") == 2:
		words += " The roles anon, authenticated and service_role are there."
	case m.roles:
		words += " The roles anon, authenticated and service_role will be made, without login."
	default:
		words += " It may not make the roles anon, authenticated and service_role; the built-in catalog works without them."
	}
	return words
}

// room opens as many connections as the pipeline will, and sees that each has a session of its own. That the disk has room nobody can ask a
// server.
func (t *trial) room(ctx context.Context) (detail string, err error) {
	var all []*sql.Conn
	defer func() {
		for _, c := range all {
			err = errors.Join(err, c.Close())
		}
	}()
	for range conns {
		c, err := t.db.Conn(ctx)
		if err != nil {
			return "", err
		}
		all = append(all, c)
	}
	// Each is asked for its session, and the last one twice: a pooler that shares sessions gives several the same, or, handing them out in turn,
	// the last one another.
	var pids [conns + 1]int
	sessions := map[int]bool{}
	for i := range pids {
		if err := all[min(i, conns-1)].QueryRowContext(ctx, `SELECT pg_backend_pid()`).Scan(&pids[i]); err != nil {
			return "", err
		}
		sessions[pids[i]] = true
	}
	if len(sessions) != conns || pids[conns] != pids[conns-1] {
		return "", &fault{
			code: hub.CodeConnectionFailed, class: hub.ClassAuth, native: "SHARED_SESSION",
			message: "The address leads to a pooler in transaction mode, where several clients share a session; what one sets there would reach another.",
			fix:     "Give the address of its session mode (with Supabase it is port 5432) or of the server itself.",
		}
	}
	return fmt.Sprintf("%d connections are open at once, each with a session of its own.", conns), nil
}

func ident(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
