package httpapi_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/hub/hubtest"
	"github.com/kitshub/kitshub/internal/testkit"
)

// secretWord is the password of what is brought: it may be told to nobody but who reveals it.
const secretWord = `c4nary+pass/word="x y`

// ground is an empty database with a role of its own, as an operator brings it.
type ground struct {
	t          testing.TB
	super, URL string
	user, db   string
}

func newGround(t testing.TB) *ground {
	t.Helper()
	g := &ground{t: t, user: "brings_" + strings.ToLower(rand.Text()[:12])}
	server := testkit.ServerURL(t)
	pgExec(t, server, fmt.Sprintf(`CREATE ROLE %s LOGIN PASSWORD '%s'`, g.user, secretWord))
	t.Cleanup(func() { pgExec(t, server, `DROP ROLE `+g.user) })
	g.super = testkit.Postgres(t)
	u, err := url.Parse(g.super)
	ok(t, err)
	g.db = strings.TrimPrefix(u.Path, "/")
	pgExec(t, g.super, `ALTER DATABASE `+g.db+` OWNER TO `+g.user)
	u.User = url.UserPassword(g.user, secretWord)
	g.URL = u.String()
	return g
}

func pgExec(t testing.TB, address, query string) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), address)
	ok(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(context.Background(), query)
	ok(t, err)
}

// small is a request by operator for the fewest features, whose pipeline is short.
func (r *rig) small(n int) (id, token string) {
	r.t.Helper()
	who := person(n, "enterprise")
	who["features"] = []string{"core"}
	p := r.call("POST", "/api/v1/onboarding", who).want(201)
	return p.text("request.id"), p.text("status_token")
}

func (g *ground) body() obj { return obj{"provider": "manual", "connection_string": g.URL} }

// tables counts the tables in the schema public.
func (g *ground) tables() (n int) {
	g.t.Helper()
	conn, err := pgx.Connect(g.t.Context(), g.super)
	ok(g.t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	ok(g.t, conn.QueryRow(g.t.Context(), `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`).Scan(&n))
	return n
}

func (r *rig) reach(id string, s hub.State) {
	r.t.Helper()
	hubtest.Reach(r.t, r.Service, id, s)
}

// An operator brings a database by its connection string; the whole pipeline runs there, and the customer gets it.
func TestManualDatabase(t *testing.T) {
	r := newRig(t)
	r.work()
	g := newGround(t)
	id, tok := r.small(1)
	req := "/api/v1/requests/" + id
	r.as("POST", req+"/credentials", g.body()).refused(409, "INVALID_TRANSITION")
	r.as("POST", req+"/claim", nil).want(200)

	p := r.as("POST", "/api/v1/connections/test", g.body()).want(200)
	p.equal("ok", true).equal("checks.0.name", "address").equal("checks.1.name", "connect").equal("checks.6.ok", true)
	if !strings.HasPrefix(p.text("server_version"), "1") || !strings.HasSuffix(p.text("place"), "/"+g.db) || g.tables() != 0 {
		t.Error(p.Raw)
	}

	first := r.as("POST", req+"/credentials", g.body(), "Idempotency-Key: bring").want(202)
	again := r.as("POST", req+"/credentials", g.body(), "Idempotency-Key: bring").want(202)
	if first.Raw != again.Raw || !strings.HasPrefix(first.Header.Get("Location"), "/api/v1/operations/op_") || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%s\n%s", first.Raw, again.Raw)
	}
	r.reach(id, hub.Completed)
	if g.tables() < 8 {
		t.Errorf("%d tables", g.tables())
	}
	d := r.call("POST", "/api/v1/status/credentials", nil, bearer(tok)).want(200)
	pgExec(t, d.text("url"), `INSERT INTO people (name) VALUES ('Ann')`)
	if d.text("env.PGPASSWORD") != secretWord || d.text("env.DATABASE_URL") != d.text("url") || tells(d.Raw) == "" {
		t.Error("the environment does not fit")
	}
	if d.Header.Get("Cache-Control") != "no-store" {
		t.Error("the connection details may be kept by who passes them on")
	}
	r.call("POST", "/api/v1/status/credentials", nil, bearer(tok)).refused(409, "ALREADY_REVEALED")
	again = r.as("POST", "/api/v1/tenants/"+r.as("GET", req, nil).text("tenant_id")+"/reveal", nil).want(200)
	if again.text("url") != d.text("url") || again.Header.Get("Cache-Control") != "no-store" {
		t.Error("the operator is told something else, or for keeps")
	}

	// The same database for another request: refused, and nothing happens to it.
	other, _ := r.small(2)
	r.as("POST", "/api/v1/requests/"+other+"/claim", nil).want(200)
	q := r.as("POST", "/api/v1/requests/"+other+"/credentials", g.body()).refused(422, "CREDENTIALS_INVALID")
	if !strings.Contains(q.Raw, "seal of another tenant") || q.fields() != "/connection_string CREDENTIALS_INVALID" {
		t.Error(q.Raw)
	}
	r.as("POST", "/api/v1/connections/test", g.body()).refused(422, "CREDENTIALS_INVALID").equal(".checks.4.name", "contents").equal(".checks.4.ok", false)
	r.noSecret()
}

func (r *rig) noSecret() { r.t.Helper(); r.noSecretAfter("connection.test") }

// noSecretAfter: the password stands in no log line, no audit entry, no answer of a listing and nowhere in the hub's own files, in no form.
func (r *rig) noSecretAfter(action string) {
	r.t.Helper()
	text := r.log.String() + r.as("GET", "/api/v1/audit?limit=200", nil).Raw + r.as("GET", "/api/v1/tenants", nil).Raw + r.as("GET", "/api/v1/requests", nil).Raw
	if !strings.Contains(text, action) {
		r.t.Errorf("there is no audit entry %s", action)
	}
	files := 0
	ok(r.t, filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		text += string(b)
		files++
		return err
	}))
	if form := tells(text); form != "" || files == 0 {
		r.t.Errorf("the password is told as %q, in the log, a listing or one of %d files", form, files)
	}
}

// tells finds the form in which a text has the password.
func tells(text string) string {
	for _, form := range []string{
		secretWord, url.QueryEscape(secretWord), url.PathEscape(secretWord), url.UserPassword("", secretWord).String()[1:], base64.StdEncoding.EncodeToString([]byte(secretWord)),
		base64.RawURLEncoding.EncodeToString([]byte(secretWord)), hex.EncodeToString([]byte(secretWord)), strings.Trim(strconv.Quote(secretWord), `"`),
	} {
		if strings.Contains(text, form) {
			return form
		}
	}
	return ""
}

// Who may not, may not; and what cannot be read is told with all that is wrong.
func TestConnectionBodies(t *testing.T) {
	r := newRig(t)
	g := newGround(t)
	id, _ := r.small(1)
	req := "/api/v1/requests/" + id + "/credentials"
	r.as("POST", "/api/v1/requests/"+id+"/claim", nil).want(200)
	for body, want := range map[string]string{
		`{"provider":"manual"}`: "400 /connection_string MISSING_FIELD",
		`{"provider":"manual","connection_string":"` + g.URL + `","region":"eu"}`:                  "400 /region INVALID_JSON",
		`{"provider":"manual","connection_string":"` + g.URL + `","extra":1}`:                      "400 /extra INVALID_JSON",
		`{"provider":"manual","connection_string":7}`:                                              "400 /connection_string INVALID_FIELD",
		`{"provider":"manual","connection_string":"host=127.0.0.1 dbname=x"}`:                      "400 /connection_string INVALID_FIELD",
		`{"provider":"manual","connection_string":"postgres://u:p@h/d?sslrootcert=/etc/passwd"}`:   "400 /connection_string INVALID_FIELD",
		`{"provider":"manual","connection_string":"postgres://u:p@10.0.0.1/d"}`:                    "422 /connection_string ADDRESS_REFUSED",
		`{"provider":"manual","connection_string":"postgres://u:p@169.254.169.254/d"}`:             "422 /connection_string ADDRESS_REFUSED",
		`{"provider":"manual","connection_string":"postgres://u:p@[::ffff:10.0.0.1]/d"}`:           "422 /connection_string ADDRESS_REFUSED",
		`{"provider":"manual","connection_string":"postgres://u:p@%2Fvar%2Frun%2Fpostgresql/d"}`:   "422 /connection_string ADDRESS_REFUSED",
		`{"provider":"manual","connection_string":"postgres://u:p@h1,h2/d"}`:                       "422 /connection_string ADDRESS_REFUSED",
		`{"provider":"manual","connection_string":"postgres://u@127.0.0.1/d"}`:                     "422 /connection_string CREDENTIALS_INVALID",
		`{"provider":"manual","connection_string":"postgres://u:p@127.0.0.1:1/d?sslmode=disable"}`: "422 /connection_string CONNECTION_FAILED",
		`{"provider":"manual","connection_string":"postgres://u:p@no-such-host.invalid/d"}`:        "422 /connection_string CONNECTION_FAILED",
	} {
		for _, path := range []string{req, "/api/v1/connections/test"} {
			p := r.as("POST", path, body)
			if got := fmt.Sprint(p.Status, " ", p.fields()); got != want {
				t.Errorf("%s %s: %s, want %s", path, body, got, want)
			}
		}
	}
	r.as("POST", "/api/v1/connections/test", `{"provider":"sqlite"}`).refused(400, "INVALID_FIELD")
	r.as("GET", "/api/v1/requests/"+id, nil).equal("status", "in_progress")

	r.call("POST", "/api/v1/connections/test", g.body()).refused(401, "UNAUTHENTICATED")
	support, second := r.tokenFor("s", hub.Support), r.tokenFor("p", hub.Provisioner)
	r.call("POST", "/api/v1/connections/test", g.body(), bearer(support)).refused(403, "FORBIDDEN")
	r.call("POST", req, g.body(), bearer(support)).refused(403, "FORBIDDEN")
	if p := r.call("POST", req, g.body(), bearer(second)).refused(403, "FORBIDDEN"); !strings.Contains(p.Raw, "in the hands of root.") {
		t.Error(p.Raw)
	}
	r.call("POST", "/api/v1/connections/test", g.body(), bearer(second)).want(http.StatusOK)
	r.call("POST", "/api/v1/requests/req_00000000000000000000000000/credentials", g.body(), bearer(second)).refused(404, "NOT_FOUND")
	if g.tables() != 0 {
		t.Error("a test left something behind")
	}
	r.noSecret()
}

// A project's fields by their names, each judged; what is right leads to a database that is not there.
func TestSupabaseBodies(t *testing.T) {
	r := newRig(t)
	id, _ := r.small(1)
	r.as("POST", "/api/v1/requests/"+id+"/claim", nil).want(200)
	const ref, other = "abcdefghijklmnopqrst", "zzzzzzzzzzzzzzzzzzzz"
	key := func(role, ref string) string {
		return "eyJhbGciOiJIUzI1NiJ9." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"ref":%q,"role":%q}`, ref, role)) + ".c2ln"
	}
	body := func(change ...string) obj {
		b := obj{
			"provider": "supabase", "project_ref": ref, "project_url": "https://" + ref + ".supabase.co", "anon_key": key("anon", ref),
			"service_role_key": key("service_role", ref), "database_password": secretWord, "region": "eu-central-1",
		}
		for i := 0; i < len(change); i += 2 {
			if b[change[i]] = change[i+1]; change[i+1] == "" {
				delete(b, change[i])
			}
		}
		return b
	}
	for want, b := range map[string]obj{
		"422 /project_ref CONNECTION_FAILED":                      body(),
		"422 /service_role_key CREDENTIALS_INVALID":               body("service_role_key", key("anon", ref)),
		"422 /anon_key CREDENTIALS_INVALID":                       body("anon_key", key("anon", other)),
		"400 /project_url INVALID_FIELD":                          body("project_url", "https://"+other+".supabase.co"),
		"400 /region INVALID_FIELD":                               body("region", "nowhere"),
		"400 /database_password MISSING_FIELD":                    body("database_password", ""),
		"400 /project_ref MISSING_FIELD, /anon_key MISSING_FIELD": body("project_ref", "", "anon_key", ""),
		"400 /connection_string INVALID_JSON":                     body("connection_string", "postgres://u:p@h/d"),
	} {
		for _, path := range []string{"/api/v1/requests/" + id + "/credentials", "/api/v1/connections/test"} {
			p := r.as("POST", path, b)
			if got := fmt.Sprint(p.Status, " ", p.fields()); got != want {
				t.Errorf("%s: %s, want %s: %s", path, got, want, p.Raw)
			}
			if strings.Contains(p.Raw, secretWord) || strings.Contains(p.Raw, "eyJhbGciOiJIUzI1NiJ9") {
				t.Errorf("a secret is told: %s", p.Raw)
			}
		}
	}
	r.noSecret()
}

// A request whose database was begun and is cancelled gives it back empty, and it can be brought again.
func TestCancelledDatabaseIsGivenBack(t *testing.T) {
	r := newRig(t)
	r.work()
	g := newGround(t)
	// What makes a step fail is in the server's own schema, so that the database is empty.
	pgExec(t, g.super, `CREATE FUNCTION pg_catalog.spoil() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
			IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'public.person_roles') THEN RAISE 'not today'; END IF;
		END $$;
		CREATE EVENT TRIGGER spoil ON ddl_command_end EXECUTE FUNCTION pg_catalog.spoil()`)
	bring := func(n int) string {
		id, _ := r.small(n)
		r.as("POST", "/api/v1/requests/"+id+"/claim", nil).want(200)
		r.as("POST", "/api/v1/requests/"+id+"/credentials", g.body()).want(202)
		return id
	}
	id := bring(1)
	r.reach(id, hub.Failed)
	if g.tables() < 4 {
		t.Errorf("%d tables", g.tables())
	}
	// Two at once: the place is taken.
	other, _ := r.small(2)
	r.as("POST", "/api/v1/requests/"+other+"/claim", nil).want(200)
	r.as("POST", "/api/v1/requests/"+other+"/credentials", g.body()).refused(422, "CREDENTIALS_INVALID")

	// By hand again, with the same database and no other.
	r.as("POST", "/api/v1/requests/"+id+"/claim", nil).want(200)
	r.as("POST", "/api/v1/requests/"+id+"/credentials", newGround(t).body()).refused(400, "INVALID_FIELD")
	r.as("POST", "/api/v1/connections/test", g.body()).refused(422, "CREDENTIALS_INVALID") // for anybody else
	r.as("POST", "/api/v1/connections/test?request="+id, g.body()).want(200).equal("checks.4.detail", "It is this tenant's already.")
	r.as("POST", "/api/v1/connections/test?request=x", g.body()).refused(400, "INVALID_FIELD")
	r.as("POST", "/api/v1/connections/test?request=req_00000000000000000000000000", g.body()).refused(404, "NOT_FOUND")
	r.as("POST", "/api/v1/requests/"+id+"/credentials", g.body()).want(202)
	r.reach(id, hub.Failed)

	tenant := r.as("GET", "/api/v1/requests/"+id, nil).text("tenant_id")
	r.as("POST", "/api/v1/requests/"+id+"/cancel", nil).want(200)
	r.purged(tenant)
	if n := g.tables(); n != 0 {
		t.Errorf("%d tables are left", n)
	}
	pgExec(t, g.super, `DROP EVENT TRIGGER spoil`)
	r.reach(bring(3), hub.Completed)
	r.noSecretAfter("request.credentials.refused")
}

// A password that is changed after it was given fails the request, by name; a retry meets it again, and who takes the request over gives the new one.
func TestAPasswordThatWasChanged(t *testing.T) {
	r := newRig(t)
	g := newGround(t)
	id, tok := r.small(1)
	req := "/api/v1/requests/" + id
	r.as("POST", req+"/claim", nil).want(200)
	r.as("POST", req+"/credentials", g.body()).want(202)
	pgExec(t, g.super, `ALTER ROLE `+g.user+` PASSWORD 'another'`)
	r.work()
	r.reach(id, hub.Failed)
	f := r.as("GET", req, nil).equal("failure.class", "auth").equal("failure.code", "28P01").equal("failure.retry_at", nil)
	if !strings.Contains(f.text("failure.action"), "claim") {
		t.Error(f.Raw)
	}
	first := r.as("POST", req+"/retry", nil).want(200).equal("status", "credentials_received").text("operation_id")
	r.reach(id, hub.Failed)
	r.as("GET", "/api/v1/operations/"+first, nil).equal("status", "failed")

	u, err := url.Parse(g.URL)
	ok(t, err)
	u.User = url.UserPassword(g.user, "another")
	r.as("POST", req+"/claim", nil).want(200).equal("status", "in_progress")
	r.as("POST", req+"/credentials", obj{"provider": "manual", "connection_string": u.String()}).want(202)
	r.reach(id, hub.Completed)
	r.call("POST", "/api/v1/status/credentials", nil, bearer(tok)).want(200).equal("env.PGPASSWORD", "another")
	r.noSecretAfter("request.retry")
}

// Two requests come to one database under different names, both while it is empty: one gets it, the other is told why not, and its clearing up
// touches nothing.
func TestOneDatabaseForTwo(t *testing.T) {
	r := newRig(t)
	g := newGround(t)
	u, err := url.Parse(g.URL)
	ok(t, err)
	u.Host = "localhost:" + u.Port()
	var ids []string
	for i, address := range []string{g.URL, u.String()} {
		id, _ := r.small(i)
		r.as("POST", "/api/v1/requests/"+id+"/claim", nil).want(200)
		r.as("POST", "/api/v1/requests/"+id+"/credentials", obj{"provider": "manual", "connection_string": address}).want(202)
		ids = append(ids, id)
	}
	r.work()
	var won, lost string
	for _, id := range ids {
		switch s := hubtest.Until(t, r.Service, id, func(s hub.State) bool { return s == hub.Completed || s == hub.Failed }); s {
		case hub.Completed:
			won = id
		case hub.Failed:
			lost = id
		default:
			t.Fatalf("%s is %s", id, s)
		}
	}
	if won == "" || lost == "" {
		t.Fatal("it went to both, or to nobody")
	}
	failed := r.as("GET", "/api/v1/requests/"+lost, nil).want(200)
	if !strings.Contains(failed.Raw, "another tenant") && !strings.Contains(failed.Raw, "belongs to tenant") {
		t.Error(failed.Raw)
	}
	n := g.tables()
	r.as("POST", "/api/v1/requests/"+lost+"/cancel", nil).want(200)
	r.purged(failed.text("tenant_id"))
	if after := g.tables(); after != n {
		t.Errorf("there were %d tables and are %d", n, after)
	}
}

// Only so many are tried at once; the next one is told to come again. One that is deaf holds its place.
func TestTrialsAtOnce(t *testing.T) {
	r := newRig(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	var mu sync.Mutex
	var held []net.Conn
	came := make(chan struct{}, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			held = append(held, c)
			mu.Unlock()
			came <- struct{}{}
		}
	}()
	deaf := obj{"provider": "manual", "connection_string": "postgres://u:p@" + l.Addr().String() + "/d?sslmode=disable"}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { r.as("POST", "/api/v1/connections/test", deaf).refused(422, "CONNECTION_FAILED") })
	}
	over := time.After(patience)
	for n := range 4 {
		select {
		case <-came:
		case <-over:
			t.Fatalf("%d of 4 were tried", n)
		}
	}
	p := r.as("POST", "/api/v1/connections/test", deaf).refused(429, "RATE_LIMITED")
	for name, want := range map[string]string{"Retry-After": "2", "RateLimit-Policy": `"concurrent";q=4;qu="concurrent-requests"`, "RateLimit": `"concurrent";r=0;t=2`} {
		if got := p.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	ok(t, l.Close())
	mu.Lock()
	for _, c := range held {
		ok(t, c.Close())
	}
	mu.Unlock()
	wg.Wait()
	r.as("POST", "/api/v1/connections/test", deaf).refused(422, "CONNECTION_FAILED")
}

// purged waits until the tenant's database was given back.
func (r *rig) purged(tenant string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		p := r.as("GET", "/api/v1/tenants/"+tenant, nil).want(200)
		if p.text("status") == "purged" {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			r.t.Fatal(p.Raw)
		}
	}
}
