package external

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/kitshub/kitshub/internal/egress"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/provider/providertest"
	"github.com/kitshub/kitshub/internal/testkit"
	"github.com/kitshub/kitshub/internal/testkit/pgserver"
)

// What a good database looks like: every check, in order, with its finding.
func TestTrialOfAGoodDatabase(t *testing.T) {
	t.Parallel()
	g := newGround(t, "")
	before := g.all()
	b, c, trial, err := manual().Bring(t.Context(), "ten_1", 1, conn(g.URL))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, x := range trial.Checks {
		names = append(names, x.Name)
		if !x.OK || x.Detail == "" || strings.Contains(x.Detail, canary) {
			t.Errorf("%+v", x)
		}
	}
	if got := strings.Join(names, " "); got != "address connect version primary contents rights room" {
		t.Error(got)
	}
	if trial.ServerVersion == "" || trial.Took <= 0 || trial.Place != b.Place || b.Place != hostOf(t, g.URL)+"/"+g.db || b.Provider != "manual" || b.TenantID != "ten_1" {
		t.Errorf("%+v, %+v", trial, b)
	}
	if strings.Contains(b.Place, canary) || c.Env["PGPASSWORD"] != canary || c.Env["DATABASE_URL"] != c.URL || c.AdminURL != "" {
		t.Errorf("%+v", b)
	}
	if after := g.all(); after != before {
		t.Errorf("the trial left\n%s", after)
	}
}

// Every bad day of the issue, on a real server.
func TestBadDatabases(t *testing.T) {
	t.Parallel()
	p := manual()
	t.Run("wrong password", func(t *testing.T) {
		g := newGround(t, "")
		exec(t, g.super, fmt.Sprintf(`ALTER ROLE %s PASSWORD 'another'`, g.user))
		refusedBy(t, p, conn(g.URL), hub.CodeCredentialsInvalid, "does not let this user in")
	})
	t.Run("no such database", func(t *testing.T) {
		g := newGround(t, "")
		refusedBy(t, p, conn(g.with(func(u *url.URL) { u.Path = "/nowhere" })), hub.CodeCredentialsInvalid, "no database of this name")
	})
	t.Run("nothing listens", func(t *testing.T) {
		refusedBy(t, p, conn("postgres://u:"+url.QueryEscape(canary)+"@127.0.0.1:1/d"), hub.CodeConnectionFailed, "Nothing listens")
	})
	t.Run("unknown host", func(t *testing.T) {
		refusedBy(t, NewManual(newNetwork().dialer(), nil), conn("postgres://u:"+url.QueryEscape(canary)+"@nowhere.example/d"), hub.CodeConnectionFailed, "is not known")
	})
	t.Run("packets are swallowed", func(t *testing.T) {
		n := newNetwork()
		n.absent["deaf.example"] = true
		begun := time.Now()
		refusedBy(t, NewManual(n.dialer(), nil), conn("postgres://u:"+url.QueryEscape(canary)+"@deaf.example/d"), hub.CodeConnectionFailed, "no answer")
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("it took %s", took)
		}
	})
	t.Run("words are swallowed", func(t *testing.T) {
		begun := time.Now()
		refusedBy(t, p, conn("postgres://u:"+url.QueryEscape(canary)+"@"+swallowing(t)+"/d"), hub.CodeConnectionFailed, "no answer")
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("it took %s", took)
		}
	})
	t.Run("sessions are shared", func(t *testing.T) {
		g := newGround(t, "")
		before := g.all()
		for n := 1; n <= conns+2; n++ {
			at := providertest.Pooler(t, g.URL, n)
			refusedBy(t, p, conn(g.with(func(u *url.URL) { u.Host, u.RawQuery = at, "sslmode=disable" })), hub.CodeConnectionFailed, "transaction mode", "session mode")
		}
		if g.all() != before {
			t.Error("it was touched")
		}
	})
	t.Run("private address", func(t *testing.T) {
		g := newGround(t, "")
		refusedBy(t, NewManual(egress.New(egress.Options{}), nil), conn(g.URL), hub.CodeAddressRefused, "loopback")
	})
	t.Run("a name that leads elsewhere when it is dialled", func(t *testing.T) {
		var asked atomic.Int64
		d := egress.New(egress.Options{
			Resolve: func(context.Context, string) ([]netip.Addr, error) {
				if asked.Add(1) == 1 {
					return []netip.Addr{netip.MustParseAddr("8.8.8.8")}, nil
				}
				return []netip.Addr{netip.MustParseAddr("169.254.169.254")}, nil
			},
			Dial: func(_ context.Context, _, address string) (net.Conn, error) {
				t.Errorf("%s was dialled", address)
				return nil, errNotDialled
			},
		})
		refusedBy(t, NewManual(d, nil), conn("postgres://u:"+url.QueryEscape(canary)+"@turns.example/d"), hub.CodeAddressRefused, "169.254.169.254", "connect")
		if asked.Load() < 2 {
			t.Error("it was asked for once only")
		}
	})
	t.Run("TLS refused", func(t *testing.T) {
		g := newGround(t, "")
		refusedBy(t, p, conn(g.with(func(u *url.URL) { u.RawQuery = "sslmode=require" })), hub.CodeConnectionFailed, "the server refuses TLS")
		bring(t, p, "ten_1", conn(g.with(func(u *url.URL) { u.RawQuery = "sslmode=prefer" })))
	})
	t.Run("TLS of nobody's authority", func(t *testing.T) {
		g := newGround(t, "")
		at := inTLS(t, hostOf(t, g.URL))
		over := func(mode string) map[string]string {
			return conn(g.with(func(u *url.URL) { u.Host, u.RawQuery = at, "sslmode="+mode }))
		}
		for _, mode := range []string{"verify-full", "verify-ca"} {
			refusedBy(t, p, over(mode), hub.CodeConnectionFailed, "sslmode="+mode, "certificate")
		}
		_, _, trial, err := p.Bring(t.Context(), "ten_1", 1, over("require"))
		if err != nil || !strings.Contains(trial.Checks[1].Detail, "TLS 1.3") {
			t.Errorf("%v, %+v", err, trial)
		}
	})
	t.Run("version too old", func(t *testing.T) {
		at := speaking(t, &pgproto3.AuthenticationOk{}, &pgproto3.ParameterStatus{Name: "server_version", Value: "14.9 (Debian)"}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
		refusedBy(t, p, conn("postgres://u:"+url.QueryEscape(canary)+"@"+at+"/d"), hub.CodeConnectionFailed, `"14.9"`, "15")
	})
	t.Run("no Postgres", func(t *testing.T) {
		at := speaking(t, &pgproto3.DataRow{})
		refusedBy(t, p, conn("postgres://u:"+url.QueryEscape(canary)+"@"+at+"/d"), hub.CodeConnectionFailed)
	})
	t.Run("a message without end", func(t *testing.T) {
		at := providertest.Listen(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1024))
			_, _ = c.Write([]byte("E\x7f\xff\xff\xff"))
			_, _ = io.Copy(io.Discard, c)
		})
		refusedBy(t, p, conn("postgres://u:"+url.QueryEscape(canary)+"@"+at+"/d?sslmode=disable"), hub.CodeConnectionFailed, "does not answer as Postgres")
	})
	t.Run("a server that repeats the password", func(t *testing.T) {
		at := speaking(t, &pgproto3.ErrorResponse{Severity: "FATAL", Code: "42501", Message: "your password is " + canary})
		refusedBy(t, p, conn("postgres://u:"+url.QueryEscape(canary)+"@"+at+"/d"), hub.CodeCredentialsInvalid, "[redacted]")
	})
}

// What is wrong with the database or the role is told, and nothing is touched.
func TestBadContentsAndRights(t *testing.T) {
	p := manual()
	for name, c := range map[string]struct {
		spoil string // as the superuser; $ is the role, % the database
		code  hub.Code
		words string
	}{
		"template":              {`ALTER DATABASE % IS_TEMPLATE true`, hub.CodeCredentialsInvalid, "is a template"},
		"foreign table":         {`CREATE TABLE public.theirs (n integer)`, hub.CodeCredentialsInvalid, "one thing in it is not the hub's, as table public.theirs"},
		"table in a schema":     {`CREATE SCHEMA shop; CREATE TABLE shop.theirs (n integer)`, hub.CodeCredentialsInvalid, "shop.theirs"},
		"view":                  {`CREATE VIEW public.theirs AS SELECT 1 AS one`, hub.CodeCredentialsInvalid, "view public.theirs"},
		"function":              {`CREATE FUNCTION public.theirs() RETURNS integer LANGUAGE sql AS 'SELECT 1'`, hub.CodeCredentialsInvalid, "theirs()"},
		"type":                  {`CREATE TYPE public.theirs AS ENUM ('a')`, hub.CodeCredentialsInvalid, "type theirs"},
		"empty schema":          {`CREATE SCHEMA theirs`, hub.CodeCredentialsInvalid, "schema theirs"},
		"a schema auth":         {`CREATE SCHEMA auth; CREATE TABLE auth.users (id uuid)`, hub.CodeCredentialsInvalid, "auth"},
		"another's seal":        {`CREATE TABLE kitshub_identity (one integer, tenant_id text, generation bigint); INSERT INTO kitshub_identity VALUES (1, 'ten_9', 1); GRANT SELECT ON kitshub_identity TO $`, hub.CodeCredentialsInvalid, "ten_9"},
		"a seal without end":    {`CREATE TABLE kitshub_identity (one integer, tenant_id text, generation bigint); INSERT INTO kitshub_identity VALUES (1, repeat(E'\n', 1000000), 1); GRANT SELECT ON kitshub_identity TO $`, hub.CodeCredentialsInvalid, "seal of another"},
		"another generation":    {`CREATE TABLE kitshub_identity (one integer, tenant_id text, generation bigint); INSERT INTO kitshub_identity VALUES (1, 'ten_1', 2); GRANT SELECT ON kitshub_identity TO $`, hub.CodeCredentialsInvalid, "seal of another"},
		"a seal that is shut":   {`CREATE TABLE kitshub_identity (one integer, tenant_id text, generation bigint)`, hub.CodeCredentialsInvalid, "lacks a right"},
		"no rights at all":      {`ALTER DATABASE % OWNER TO CURRENT_USER`, hub.CodeCredentialsInvalid, "neither schemas"},
		"no right to schemas":   {`ALTER DATABASE % OWNER TO CURRENT_USER; GRANT CREATE ON SCHEMA public TO $`, hub.CodeCredentialsInvalid, "may not make schemas"},
		"no right to tables":    {`ALTER DATABASE % OWNER TO CURRENT_USER; GRANT CREATE ON DATABASE % TO $`, hub.CodeCredentialsInvalid, "schema public"},
		"no schema public":      {`DROP SCHEMA public`, hub.CodeCredentialsInvalid, "no schema public"},
		"search path":           {`ALTER ROLE $ SET search_path = pg_catalog`, hub.CodeCredentialsInvalid, "search_path"},
		"read-only":             {`ALTER ROLE $ SET default_transaction_read_only = on`, hub.CodeConnectionFailed, "takes no writes"},
		"no right to connect":   {`ALTER DATABASE % OWNER TO CURRENT_USER; REVOKE CONNECT ON DATABASE % FROM PUBLIC`, hub.CodeCredentialsInvalid, "lacks a right"},
		"limit of the role":     {`ALTER ROLE $ CONNECTION LIMIT 2`, hub.CodeConnectionFailed, "no room"},
		"limit of none":         {`ALTER ROLE $ CONNECTION LIMIT 0`, hub.CodeConnectionFailed, "no room"},
		"limit of the database": {`ALTER DATABASE % CONNECTION LIMIT 1`, hub.CodeConnectionFailed, "no room"},
		"role without login":    {`ALTER ROLE $ NOLOGIN`, hub.CodeCredentialsInvalid, "does not let this user in"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGround(t, "")
			g.su(strings.NewReplacer("$", g.user, "%", g.db).Replace(c.spoil))
			if name == "template" { // which cannot be dropped
				t.Cleanup(func() { exec(t, g.super, `ALTER DATABASE `+g.db+` IS_TEMPLATE false`) })
			}
			before := g.all()
			refusedBy(t, p, conn(g.URL), c.code, c.words)
			if g.all() != before {
				t.Error("it was touched")
			}
		})
	}
}

// The server's own: template1 goes into every database that is made later, also where somebody took the mark from it; postgres is only a name.
func TestDatabasesThatEveryServerHas(t *testing.T) {
	t.Parallel()
	at := func(name string) map[string]string {
		u, err := url.Parse(testkit.ServerURL(t))
		if err != nil {
			t.Fatal(err)
		}
		u.Path = "/" + name
		return conn(u.String())
	}
	refusedBy(t, manual(), at("template1"), hub.CodeCredentialsInvalid, "is a template")
	_, _, trial, err := manual().Bring(t.Context(), "", 1, at("postgres"))
	if err != nil && strings.Contains(err.Error(), "is a template") {
		t.Errorf("%v, %+v", err, trial)
	}
}

// A trial ends with its caller's patience.
func TestTrialEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, _, _, err := manual().Bring(ctx, "ten_1", 1, conn("postgres://u:p@"+swallowing(t)+"/d"))
	if !hub.IsCode(err, hub.CodeConnectionFailed) || time.Since(begun) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(begun))
	}
}

// Several try one database at once, and all find the same.
func TestTrialsSideBySide(t *testing.T) {
	t.Parallel()
	g := newGround(t, "")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, _, trial, err := manual().Bring(t.Context(), "", 1, conn(g.URL)); err != nil {
				t.Errorf("%v, %+v", err, trial)
			}
		})
	}
	wg.Wait()
}

// A server that is away in the middle is told as what passes by itself; when it is back, all goes on where it was.
func TestServerThatGoesAndComesBack(t *testing.T) {
	t.Parallel()
	server, err := pgserver.Start(t.Context(), pgserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	exec(t, server.URL, `CREATE DATABASE theirs`)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/theirs"
	p := manual()
	x := bring(t, p, "ten_1", conn(u.String()))
	provision(t, p, x, core(t), 2)
	if err := server.Halt(pgserver.Fast); err != nil {
		t.Fatal(err)
	}
	_, opened := p.Open(t.Context(), x.Backend, x.Credentials, hub.RoleOwner)
	for doing, err := range map[string]error{
		"create": p.Create(t.Context(), x.Backend, x.Credentials, noTemplate), "open": opened, "drop": p.Drop(t.Context(), x.Backend, x.Credentials),
	} {
		var se *hub.StepError
		if !errors.As(err, &se) || se.Class != hub.ClassNetwork || se.Code != "ECONNREFUSED" || !strings.Contains(err.Error(), "Nothing listens") {
			t.Errorf("%s: %v", doing, err)
		}
	}
	refusedBy(t, p, conn(x.URL), hub.CodeConnectionFailed, "Nothing listens")
	if err := server.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	provision(t, p, x, core(t), -1)
	drop(t, p, x)
}
