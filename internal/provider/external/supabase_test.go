package external

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/provider"
	"github.com/kitshub/kitshub/internal/testkit/pgserver"
)

const ref = "abcdefghijklmnopqrst"

// jwt is a key as Supabase's older ones are, signed by nobody.
func jwt(claims string) string {
	b := base64.RawURLEncoding.EncodeToString
	return b([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + b([]byte(claims)) + "." + b([]byte("signature"))
}

func key(role, ref string) string {
	return jwt(fmt.Sprintf(`{"iss":"supabase","ref":%q,"role":%q,"iat":1600000000,"exp":%d}`, ref, role, time.Now().Add(time.Hour).Unix()))
}

func fields(change map[string]string) map[string]string {
	f := map[string]string{
		"project_ref": ref, "project_url": "https://" + ref + ".supabase.co", "anon_key": key("anon", ref), "service_role_key": key("service_role", ref),
		"database_password": canary, "region": "eu-central-1",
	}
	maps.Copy(f, change)
	return f
}

// asSupabase furnishes a database as a new project is: roles, schemas and functions of Supabase's, and rights for what postgres makes. The roles are
// the whole server's, on which other packages' tests are at work: with the hub's mark they serve those, too, whoever comes first.
func (g *ground) asSupabase() {
	g.t.Helper()
	g.su(`DO $$ DECLARE r text; BEGIN FOREACH r IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
			BEGIN EXECUTE format('CREATE ROLE %I NOLOGIN', r); EXECUTE format('COMMENT ON ROLE %I IS %L', r, '` + provider.CompatMark + `');
			EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END; END LOOP; END $$;
		CREATE SCHEMA auth; CREATE TABLE auth.users (id uuid PRIMARY KEY, email text);
		CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''),
			nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;
		GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role, ` + g.user + `;
		CREATE SCHEMA extensions; CREATE EXTENSION pgcrypto SCHEMA extensions; CREATE SCHEMA storage; CREATE TABLE storage.objects (id uuid);
		CREATE SCHEMA realtime; CREATE SCHEMA vault; CREATE SCHEMA graphql_public;
		ALTER ROLE ` + g.user + ` SET search_path = "$user", public, extensions;
		GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;
		ALTER DEFAULT PRIVILEGES FOR ROLE ` + g.user + ` IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
		ALTER DEFAULT PRIVILEGES FOR ROLE ` + g.user + ` IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role`)
}

// project is a server as Supabase's are for this ground: it has TLS, and knows one user.
func (g *ground) project(user string) string {
	return pooler(g.t, hostOf(g.t, g.URL), func(m *pgproto3.StartupMessage) *pgproto3.ErrorResponse {
		if m.Parameters["user"] != user || m.Parameters["database"] != "postgres" {
			return &pgproto3.ErrorResponse{Severity: "FATAL", Code: "XX000", Message: "Tenant or user not found"}
		}
		m.Parameters["user"], m.Parameters["database"] = g.user, g.db
		return nil
	})
}

// The whole way on a project, directly: its own roles and functions are used, none is made, and signed-in people see what policies give them.
func TestSupabaseThereAndBack(t *testing.T) {
	t.Parallel()
	g, n := newGround(t, ""), newNetwork()
	g.asSupabase()
	n.put("db."+ref+".supabase.co", g.project("postgres"))
	p, before := NewSupabase(n.dialer(), nil), g.all()
	x := bring(t, p, "ten_1", fields(nil))
	if x.Place != "db."+ref+".supabase.co:5432/postgres" || !strings.HasPrefix(x.URL, "postgres://postgres:") || !strings.HasSuffix(x.URL, "?sslmode=require") {
		t.Errorf("%+v", x.Backend)
	}
	for name, want := range map[string]string{
		"SUPABASE_URL": "https://" + ref + ".supabase.co", "SUPABASE_ANON_KEY": key("anon", ref), "SUPABASE_SERVICE_ROLE_KEY": key("service_role", ref),
		"DATABASE_URL": x.URL, "PGPASSWORD": canary,
	} {
		if !strings.HasPrefix(x.Env[name], want[:min(len(want), 40)]) {
			t.Errorf("%s is %q", name, x.Env[name])
		}
	}
	provision(t, p, x, enterprise(t), -1)
	provision(t, p, x, enterprise(t), -1)
	if got := g.one(`SELECT count(*)::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'auth'`); got != "1" {
		t.Errorf("%s functions in auth, want Supabase's own", got)
	}
	// The hub's own tables are shut to those whom Supabase grants everything; the customer's follow the policies.
	g.as(`INSERT INTO people (id, name, auth_subject) VALUES ('ann', 'Ann', '11111111-1111-1111-1111-111111111111')`)
	g.su(`DO $$ DECLARE n integer; BEGIN
		SET LOCAL ROLE authenticated;
		IF (SELECT count(*) FROM people) <> 0 THEN RAISE 'a stranger sees people'; END IF;
		SET LOCAL request.jwt.claims = '{"sub":"11111111-1111-1111-1111-111111111111"}';
		IF (SELECT count(*) FROM people) <> 1 THEN RAISE 'Ann does not see herself'; END IF;
		IF auth.uid() IS NULL THEN RAISE 'no uid'; END IF;
		SET LOCAL ROLE anon;
		IF (SELECT count(*) FROM people) <> 0 THEN RAISE 'anon sees people'; END IF;
		BEGIN PERFORM count(*) FROM kitshub_ledger; RAISE 'anon reads the ledger'; EXCEPTION WHEN insufficient_privilege THEN NULL; END;
		SET LOCAL ROLE service_role;
		INSERT INTO people (name) VALUES ('Bob');
		BEGIN DELETE FROM kitshub_identity; RAISE 'the seal can be removed'; EXCEPTION WHEN insufficient_privilege THEN NULL; END;
	END $$`)
	drop(t, p, x)
	if after := g.all(); after != before {
		t.Errorf("there is\n%s\nthere was\n%s", after, before)
	}
}

// The same catalog on a plain Postgres: roles and functions are stood in for, without BYPASSRLS, and policies grant service_role what it needs.
func TestStandInForSupabase(t *testing.T) {
	t.Parallel()
	g, p := newGround(t, "CREATEROLE"), manual()
	x := bring(t, p, "ten_1", conn(g.URL))
	provision(t, p, x, core(t), -1)
	g.as(`INSERT INTO people (id, name, auth_subject) VALUES ('ann', 'Ann', '11111111-1111-1111-1111-111111111111')`)
	g.su(`DO $$ BEGIN
		IF EXISTS (SELECT FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') AND (rolbypassrls OR rolcanlogin OR rolsuper)) THEN RAISE 'a role that may too much'; END IF;
		SET LOCAL ROLE service_role;
		INSERT INTO people (name) VALUES ('Bob');
		IF (SELECT count(*) FROM people) <> 2 THEN RAISE 'service_role does not see all'; END IF;
		SET LOCAL ROLE authenticated;
		SET LOCAL request.jwt.claims = '{"sub":"11111111-1111-1111-1111-111111111111","role":"authenticated"}';
		IF auth.uid() <> '11111111-1111-1111-1111-111111111111' OR auth.role() <> 'authenticated' THEN RAISE 'auth does not answer'; END IF;
		IF (SELECT count(*) FROM people) = 0 THEN RAISE 'Ann sees nobody'; END IF;
		SET LOCAL ROLE anon;
		IF (SELECT count(*) FROM people) <> 0 THEN RAISE 'anon sees people'; END IF;
		BEGIN PERFORM count(*) FROM kitshub_identity; RAISE 'anon reads the seal'; EXCEPTION WHEN insufficient_privilege THEN NULL; END;
	END $$`)
	drop(t, p, x)
}

// The roles are the whole server's. One that another hub makes between the look and the making is as good.
func TestRolesThatSomebodyMakesMeanwhile(t *testing.T) {
	t.Parallel()
	server, err := pgserver.Start(t.Context(), pgserver.Options{}) // on the others' the roles are there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	exec(t, server.URL, `CREATE DATABASE theirs`)
	address, err := pgserver.WithDatabase(server.URL, "theirs")
	if err != nil {
		t.Fatal(err)
	}
	p := manual()
	x := bring(t, p, "ten_1", conn(address))
	other, err := pgx.Connect(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(context.WithoutCancel(t.Context())) }()
	if _, err := other.Exec(t.Context(), `BEGIN; LOCK TABLE pg_authid IN SHARE MODE; `+provider.CompatRoleSQL("anon")+`; `+provider.CompatRoleSQL("service_role")); err != nil {
		t.Fatal(err)
	}
	made := make(chan error, 1)
	go func() { made <- p.Create(t.Context(), x.Backend, x.Credentials, noTemplate) }()
	for waits := false; !waits; { // it has looked, and has not made them yet
		select {
		case err := <-made:
			t.Fatalf("it did not wait for the other: %v", err)
		default:
		}
		if err := other.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'pg_authid'::regclass)`).Scan(&waits); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := other.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if err := <-made; err != nil {
		t.Error(err)
	}
}

// Without IPv6 the project is reached by its region's pooler: by that of its clusters which knows it.
func TestSupabaseByThePooler(t *testing.T) {
	t.Parallel()
	g, n := newGround(t, ""), newNetwork()
	g.asSupabase()
	n.put("aws-0-eu-central-1.pooler.supabase.com", pooler(t, "127.0.0.1:1", func(*pgproto3.StartupMessage) *pgproto3.ErrorResponse {
		return &pgproto3.ErrorResponse{Severity: "FATAL", Code: "XX000", Message: "Tenant or user not found"}
	}))
	n.put("aws-1-eu-central-1.pooler.supabase.com", g.project("postgres."+ref))
	p := NewSupabase(n.dialer(), nil)
	x := bring(t, p, "ten_1", fields(nil))
	if x.Place != "db."+ref+".supabase.co:5432/postgres" || !strings.Contains(x.URL, "@aws-1-eu-central-1.pooler.supabase.com:5432/postgres") || x.Env["PGUSER"] != "postgres."+ref {
		t.Errorf("%+v %s", x.Backend, x.Env["PGHOST"])
	}
	// The same by the pooler's own connection string, as a refusal advises: another project there is another place.
	byHand := bring(t, NewManual(n.dialer(), nil), "ten_1", conn(x.URL))
	if byHand.Place != x.Place {
		t.Errorf("%s by hand, %s by its fields", byHand.Place, x.Place)
	}
	provision(t, p, x, core(t), 2)
	drop(t, p, x)

	refusedBy(t, p, fields(map[string]string{"region": "us-east-1"}), hub.CodeConnectionFailed, "neither directly nor by the pooler of us-east-1", "provider manual")
	refusedBy(t, p, fields(map[string]string{"region": ""}), hub.CodeConnectionFailed, "Give its region")

	// A way that answers is the way: a wrong password is not tried elsewhere.
	n.put("db."+ref+".supabase.co", g.project("postgres"))
	n.mu.Lock()
	n.dials = nil
	n.mu.Unlock()
	e := refusedBy(t, p, fields(map[string]string{"database_password": "wrong"}), hub.CodeCredentialsInvalid, "does not let this user in")
	if e.Field != "database_password" || slices.ContainsFunc(n.dials, func(h string) bool { return strings.HasPrefix(h, "aws") }) {
		t.Errorf("field %s, dials %v", e.Field, n.dials)
	}
}

// An IPv6 that swallows packets does not use up the time of the pooler, and of all it is over in time.
func TestSupabaseThatSwallows(t *testing.T) {
	t.Parallel()
	g, n := newGround(t, ""), newNetwork()
	g.asSupabase()
	n.absent["db."+ref+".supabase.co"] = true
	n.absent["aws-0-eu-central-1.pooler.supabase.com"] = true
	begun := time.Now()
	refusedBy(t, NewSupabase(n.dialer(), nil), fields(nil), hub.CodeConnectionFailed, "neither directly")
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	delete(n.absent, "aws-0-eu-central-1.pooler.supabase.com") // so that the trial itself has the time that a busy machine needs
	n.put("aws-1-eu-central-1.pooler.supabase.com", g.project("postgres."+ref))
	bring(t, NewSupabase(n.dialer(), nil), "ten_1", fields(nil))
}

// Every field is judged, all at once, before anything is connected to.
func TestSupabaseFields(t *testing.T) {
	t.Parallel()
	other := "zyxwvutsrqponmlkjihg"
	past := jwt(fmt.Sprintf(`{"ref":%q,"role":"anon","exp":1600000000}`, ref))
	p := NewSupabase(newNetwork().dialer(), nil)
	for name, c := range map[string]struct {
		change map[string]string
		want   string
	}{
		"nothing": {
			map[string]string{"project_ref": "", "project_url": "", "anon_key": "", "service_role_key": "", "database_password": "", "region": ""},
			"project_ref MISSING_FIELD, project_url MISSING_FIELD, anon_key MISSING_FIELD, service_role_key MISSING_FIELD, database_password MISSING_FIELD",
		},
		"ref":             {map[string]string{"project_ref": "My-Project"}, "project_ref INVALID_FIELD"},
		"ref with a host": {map[string]string{"project_ref": "abcdefghijklmnopqrs/"}, "project_ref INVALID_FIELD"},
		"url":             {map[string]string{"project_url": "https://db.example.com"}, "project_url INVALID_FIELD"},
		"http":            {map[string]string{"project_url": "http://" + ref + ".supabase.co"}, "project_url INVALID_FIELD"},
		"port":            {map[string]string{"project_url": "https://" + ref + ".supabase.co:444"}, "project_url INVALID_FIELD"},
		"another's url":   {map[string]string{"project_url": "https://" + other + ".supabase.co"}, "project_url INVALID_FIELD"},
		"no key":          {map[string]string{"anon_key": "abc"}, "anon_key INVALID_FIELD"},
		"no JSON":         {map[string]string{"anon_key": "a.b.c"}, "anon_key INVALID_FIELD"},
		"swapped keys":    {map[string]string{"anon_key": key("service_role", ref), "service_role_key": key("anon", ref)}, "anon_key CREDENTIALS_INVALID, service_role_key CREDENTIALS_INVALID"},
		"another's keys":  {map[string]string{"anon_key": key("anon", other), "service_role_key": key("service_role", other)}, "anon_key CREDENTIALS_INVALID, service_role_key CREDENTIALS_INVALID"},
		"an old key":      {map[string]string{"anon_key": past}, "anon_key CREDENTIALS_INVALID"},
		"newer, swapped":  {map[string]string{"anon_key": "sb_secret_0123456789"}, "anon_key CREDENTIALS_INVALID"},
		"region":          {map[string]string{"region": "evil.example/"}, "region INVALID_FIELD"},
		"several":         {map[string]string{"project_ref": "x", "region": "y", "anon_key": "z"}, "project_ref INVALID_FIELD, anon_key INVALID_FIELD, region INVALID_FIELD"},
	} {
		_, _, trial, err := p.Bring(t.Context(), "ten_1", 1, fields(c.change))
		var e *hub.Error
		if !errors.As(err, &e) || trial != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, f := range e.Fields {
			got = append(got, f.Field+" "+string(f.Code))
			for field, v := range c.change {
				if len(v) > 3 && strings.Contains(f.Error(), v) {
					t.Errorf("%s: %s is repeated: %v", name, field, f)
				}
			}
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s: %s, want %s", name, s, c.want)
		}
	}
	_, _, _, err := p.Bring(context.Background(), "ten_1", 1, fields(map[string]string{"anon_key": "sb_publishable_0123456789", "service_role_key": "sb_secret_0123456789", "project_url": "https://" + strings.ToUpper(ref) + ".supabase.co/"}))
	if !hub.IsCode(err, hub.CodeConnectionFailed) { // the fields are right; there is no such project
		t.Error(err)
	}
}

// FuzzSupabase: whatever the fields, only hosts of the project are asked for.
func FuzzSupabase(f *testing.F) {
	f.Add(ref, "https://"+ref+".supabase.co", "eu-central-1", key("anon", ref))
	f.Add("x@evil.example/", "https://evil", "a.b", "..")
	f.Fuzz(func(t *testing.T, r, u, region, k string) {
		p := NewSupabase(newNetwork().dialer(), nil)
		pr, wrong := p.read(map[string]string{"project_ref": r, "project_url": u, "region": region, "anon_key": k, "service_role_key": key("service_role", r), "database_password": "p"})
		if len(wrong) > 0 {
			return
		}
		for _, a := range pr.ways() {
			again, wrong := parse(a.URL(), "f")
			if len(wrong) > 0 || again != a || !strings.HasSuffix(a.host, ".supabase.co") && !strings.HasSuffix(a.host, ".pooler.supabase.com") || again.place() != "db."+pr.ref+".supabase.co:5432/postgres" {
				t.Errorf("%q leads to %s", r, a.URL())
			}
		}
	})
}
