package pgcluster

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/catalog"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/tenantdb"
	"github.com/kitshub/kitshub/internal/testkit/pgserver"
)

// with replaces the database, and the login where one is given, in an address.
func with(t *testing.T, address, database, user string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + database
	if user != "" {
		password, _ := u.User.Password()
		u.User = url.UserPassword(user, password)
	}
	return u.String()
}

// Five tenants, two of them out of the pool: every login works at home and nowhere else, and no login is more than it should be.
func TestNeighboursAreRefused(t *testing.T) {
	r := newRig(t)
	p := r.provider()
	var all []planned
	for i := range 5 {
		id := fmt.Sprintf("ten_%d", i)
		if i < 3 {
			all = append(all, r.create(p, id, things))
			continue
		}
		m := r.create(p, MemberPrefix+id, things)
		b, c, err := p.Adopt(m.Backend, m.Credentials, id, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.HandOver(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		all = append(all, planned{b, c})
	}
	for i, x := range all {
		for _, address := range []string{x.URL, x.AdminURL} {
			for j, y := range all {
				name, _, err := p.database(y.Backend)
				if err != nil {
					t.Fatal(err)
				}
				conn, err := pgx.Connect(t.Context(), with(t, address, name, ""))
				if err == nil {
					var n int
					err = conn.QueryRow(t.Context(), `SELECT count(*) FROM things`).Scan(&n)
					_ = conn.Close(t.Context())
				}
				if i == j && err != nil {
					t.Errorf("tenant %d is refused at home: %v", i, err)
				}
				if i != j && codeOf(err) != codeNoRight {
					t.Errorf("tenant %d at %d: %v, want a refusal", i, j, err)
				}
			}
		}
	}
	r.checkAttributes(p, all[0])
}

func (r *rig) checkAttributes(p *Provider, x planned) {
	r.Helper()
	name, _, err := p.database(x.Backend)
	if err != nil {
		r.Fatal(err)
	}
	for _, role := range []string{name + runtimeSuffix, name + ownerSuffix} {
		if one[bool](r, `SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls OR NOT rolcanlogin OR rolconnlimit < 0 FROM pg_roles WHERE rolname = $1`, role) {
			r.Errorf("the role %s may more than it should", role)
		}
	}
	if one[bool](r, `SELECT pg_has_role($1, $2, 'MEMBER') OR pg_has_role($1, $3, 'MEMBER')`, name+runtimeSuffix, p.names.owner(), name+ownerSuffix) {
		r.Error("the runtime role is a member of an owner")
	}
	if one[bool](r, `SELECT rolsuper OR NOT rolcreatedb OR NOT rolcreaterole FROM pg_roles WHERE rolname = $1`, r.role) {
		r.Error("this test is one of an admin that is a plain role")
	}
	for _, refused := range []string{
		`CREATE TABLE public.mine (n integer)`, `DROP TABLE things`, `TRUNCATE things`, `ALTER TABLE things DISABLE ROW LEVEL SECURITY`,
		`CREATE SCHEMA mine`, `SET ROLE ` + p.names.owner(), `ALTER DATABASE ` + name + ` RENAME TO mine`, `COMMENT ON DATABASE ` + name + ` IS 'mine'`,
		`COMMENT ON ROLE ` + name + runtimeSuffix + ` IS 'mine'`, `CREATE DATABASE mine`, `CREATE ROLE mine`,
	} {
		conn := r.connect(x.URL)
		_, err := conn.Exec(r.Context(), refused)
		_ = conn.Close(r.Context())
		if codeOf(err) != codeNoRight {
			r.Errorf("%s as the customer's program: %v, want a refusal", refused, err)
		}
	}
	// The owner's session cannot become more than the owner of this one database either.
	conn := r.connect(x.AdminURL)
	defer func() { _ = conn.Close(context.Background()) }()
	for _, sql := range []string{`RESET ROLE`, `SET ROLE NONE`, `SET SESSION AUTHORIZATION DEFAULT`} {
		var who string
		if _, err := conn.Exec(r.Context(), sql); err != nil {
			r.Errorf("%s: %v", sql, err)
		}
		if err := conn.QueryRow(r.Context(), `SELECT session_user`).Scan(&who); err != nil || who != name+ownerSuffix {
			r.Errorf("after %s the session is %s's, %v", sql, who, err)
		}
	}
}

// The built-in catalog, built into a template and copied, is one that the customer's program can use, and all of its tables force their policies.
func TestTheCatalogUnderTheRuntimeRole(t *testing.T) {
	r := newRig(t)
	p := r.provider()
	tenants, steps := tenantdb.New(catalog.Split), enterprise(t)
	x := r.create(p, "ten_1", templateOf(tenants, steps))
	id := hub.Identity{TenantID: "ten_1", Generation: 1, CatalogVersion: "v", MAC: "m"}
	owner, runtime := r.open(p, x, hub.RoleOwner), r.open(p, x, hub.RoleTenant)
	if err := tenants.Identify(t.Context(), owner, hub.Postgres, id); err != nil {
		t.Fatal(err)
	}
	later := hub.Step{Name: "later/0001", Kind: hub.StepMigrate, Source: hub.Source{
		File: "later.sql", Checksum: "c", SQL: `CREATE TABLE later (id bigint GENERATED ALWAYS AS IDENTITY, who text DEFAULT auth.uid()::text)`,
	}}
	if err := tenants.Apply(t.Context(), owner, hub.Postgres, later); err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if s.Kind == hub.StepCheck {
			if err := tenants.Check(t.Context(), owner, hub.Postgres, s); err != nil {
				t.Error(err)
			}
		}
	}
	if err := tenants.Probe(t.Context(), runtime, hub.Postgres, id, steps); err != nil {
		t.Errorf("probing: %v", err)
	}
	for _, sql := range []string{
		`INSERT INTO people (name) VALUES ('Ann')`, `INSERT INTO items (sku, name, currency) VALUES ('A1', 'Apple', 'EUR')`, `UPDATE items SET name = 'Pear'`,
		`DELETE FROM items`, `SELECT * FROM items_to_reorder`, `INSERT INTO later DEFAULT VALUES`, `CREATE TEMPORARY TABLE mine (n integer)`,
		`BEGIN; SET LOCAL ROLE authenticated; SELECT count(*) FROM items; COMMIT`, `BEGIN; SET LOCAL ROLE service_role; INSERT INTO later DEFAULT VALUES; COMMIT`,
	} {
		if _, err := runtime.ExecContext(t.Context(), sql); err != nil {
			t.Errorf("%s as the customer's program: %v", sql, err)
		}
	}
	for _, sql := range []string{
		`DELETE FROM kitshub_ledger`, `UPDATE kitshub_identity SET tenant_id = 'ten_2'`, `INSERT INTO kitshub_ledger VALUES ('a', 'b', 'c', 1)`,
		`BEGIN; SET LOCAL ROLE anon; SELECT * FROM kitshub_identity; COMMIT`, `TRUNCATE kitshub_probe`,
	} {
		if _, err := runtime.ExecContext(t.Context(), sql); codeOf(err) != codeNoRight {
			t.Errorf("%s as the customer's program: %v, want a refusal", sql, err)
		}
		_, _ = runtime.ExecContext(t.Context(), `ROLLBACK`)
	}
	var forced int
	err := runtime.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
		AND relname NOT LIKE 'kitshub%' AND relname <> 'later' AND relrowsecurity AND relforcerowsecurity`).Scan(&forced)
	if err != nil || forced != 42 {
		t.Errorf("%d tables force row-level security, %v; want all 42", forced, err)
	}
	var owners string
	err = runtime.QueryRowContext(t.Context(), `SELECT string_agg(DISTINCT relowner::regrole::text, ' ') FROM pg_class WHERE relnamespace = 'public'::regnamespace`).Scan(&owners)
	if err != nil || owners != p.names.owner() {
		t.Errorf("the owners are %q, %v; want %s alone", owners, err, p.names.owner())
	}
}

func enterprise(t testing.TB) []hub.Step {
	t.Helper()
	c, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	plan, _ := c.Plan("enterprise")
	steps, err := hub.PlanSteps(c, plan.Features, hub.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

func templateOf(tenants *tenantdb.DB, steps []hub.Step) hub.Template {
	return hub.Template{Key: hub.ContentKey(hub.Postgres, steps), Build: func(ctx context.Context, db *sql.DB) error {
		for _, s := range steps {
			if s.InLedger() {
				if err := tenants.Apply(ctx, db, hub.Postgres, s); err != nil {
					return err
				}
			}
		}
		return nil
	}}
}

// The server's log, with every statement in it, holds no password; it does hold the statements.
func TestNoPasswordInTheServersLog(t *testing.T) {
	t.Parallel() // it waits for the server most of the time
	s, err := pgserver.Start(t.Context(), pgserver.Options{Settings: map[string]string{"log_statement": "all", "log_min_error_statement": "debug5"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	r := rigOn(t, s.URL)
	p := r.provider()
	x := r.create(p, "ten_1", things)
	r.wantThings(p, x, 1)
	if err := p.Create(t.Context(), x.Backend, x.Credentials, things); err != nil { // sets the passwords again
		t.Fatal(err)
	}
	r.su(`ALTER ROLE ` + r.role + ` NOCREATEROLE`)
	y := r.plan(p, "ten_2")
	r.wantFault("making roles without the right", p.Create(t.Context(), y.Backend, y.Credentials, things), hub.ClassAuth, codeNoRight)
	log, err := os.ReadFile(filepath.Join(filepath.Dir(one[string](r, `SHOW data_directory`)), "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	for what, least := range map[string]int{"SCRAM-SHA-256$4096:": 2, "SCRAM-SHA-256$1:": 3} { // the customers'; the hub's own, that of the template among them
		if n := strings.Count(string(log), what); n < least {
			t.Errorf("%d verifiers %s… in the log; the statements are not there, so that nothing else is proves nothing", n, what)
		}
	}
	for _, z := range []planned{x, y} {
		name, _, _ := p.database(z.Backend)
		runtime, owner, err := passwords(z.Credentials, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{runtime, owner} {
			if strings.Contains(string(log), secret) {
				t.Error("a password stands in the server's log")
			}
		}
	}
}

// Who may not make databases or roles is told so in the failure itself, with the SQL that mends it; once it ran, the same call goes through.
func TestAMissingRightIsNamed(t *testing.T) {
	r := newRig(t)
	p := r.provider()
	x := r.plan(p, "ten_1")
	for _, right := range []string{"CREATEROLE", "CREATEDB"} {
		r.su(`ALTER ROLE ` + r.role + ` NO` + right)
		err := p.Create(t.Context(), x.Backend, x.Credentials, things)
		r.wantFault("without "+right, err, hub.ClassAuth, codeNoRight)
		if want := `ALTER ROLE "` + r.role + `" ` + right + `;`; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without %s it says %v, not %s", right, err, want)
		}
		r.su(`ALTER ROLE ` + r.role + ` ` + right)
	}
	if err := p.Create(t.Context(), x.Backend, x.Credentials, things); err != nil {
		t.Error(err)
	}
}
