package inspect_test

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/kitshub/kitshub/internal/proof/inspect"
	"github.com/kitshub/kitshub/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const (
	corePG = `CREATE TABLE people (id text PRIMARY KEY, made_at timestamptz NOT NULL DEFAULT now());
ALTER TABLE people ENABLE ROW LEVEL SECURITY; ALTER TABLE people FORCE ROW LEVEL SECURITY;
CREATE POLICY people_all ON people USING (current_user <> 'anon');
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql RETURN 2 * n;`
	toolPG = `CREATE TYPE kind AS ENUM ('hand', 'power');
CREATE TABLE tools (id text PRIMARY KEY, owner text NOT NULL REFERENCES people (id) ON DELETE CASCADE, price int, kind kind NOT NULL DEFAULT 'hand');
CREATE INDEX tools_owner ON tools (owner);
CREATE VIEW dear AS SELECT id FROM tools WHERE price > 100;`
)

var folderPG = fstest.MapFS{
	"plans.yaml":                             {Data: []byte("plans:\n  - id: one\n    name: One\n    features: [tools]\n")},
	"features/core/feature.yaml":             {Data: []byte("name: core\nposition: 0\n")},
	"features/core/0001_people.postgres.sql": {Data: []byte(corePG)},
	"features/tools/feature.yaml":            {Data: []byte("name: tools\ndepends_on: [core]\nposition: 10\n")},
	"features/tools/0001_t.postgres.sql":     {Data: []byte(toolPG)},
	"features/tools/0001_t.sqlite.sql":       {Data: []byte("SELECT not for us")},
	"features/tools/seed.sql":                {Data: []byte(seedSQL)},
}

// tenantPG makes a database as the pipeline should leave it, does harm to it as a superuser, and gives the customer's address.
func tenantPG(t *testing.T, harm string) string {
	t.Helper()
	address := testkit.Postgres(t)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	login := strings.ToLower(strings.TrimPrefix(u.Path, "/"))
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.Exec(`REASSIGN OWNED BY ` + login + ` TO CURRENT_USER; DROP OWNED BY ` + login + `; DROP ROLE ` + login); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	sum := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	for _, q := range []string{
		`DO $$ BEGIN CREATE ROLE anon NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`,
		`CREATE ROLE ` + login + ` LOGIN PASSWORD 'secret'`,
		`GRANT anon TO ` + login,
		`REVOKE ALL ON DATABASE ` + login + ` FROM PUBLIC`,
		`GRANT CONNECT ON DATABASE ` + login + ` TO ` + login,
		`CREATE TABLE kitshub_ledger (step text, checksum text)`, `CREATE TABLE kitshub_identity (tenant_id text)`,
		`INSERT INTO kitshub_identity VALUES ('ten_1')`, corePG, toolPG, seedSQL,
		`INSERT INTO kitshub_ledger VALUES ('core/0001_people', '` + sum(corePG) + `'), ('tools/0001_t', '` + sum(toolPG) + `'), ('tools/seed', '` + sum(seedSQL) + `')`,
		`GRANT SELECT ON ALL TABLES IN SCHEMA public TO ` + login + `, anon`,
		strings.ReplaceAll(harm, "LOGIN_NAME", login),
	} {
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	u.User = url.UserPassword(login, "secret")
	return u.String()
}

func TestJudgeFindsEveryDamageOnPostgres(t *testing.T) {
	c, err := inspect.Read(folderPG)
	if err != nil {
		t.Fatal(err)
	}
	judge := inspect.NewPostgresJudge(c, testkit.ServerURL(t))
	t.Cleanup(func() {
		if err := judge.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, tt := range []struct{ name, harm, want string }{
		{"nothing wrong", `SELECT 1`, ""},
		{"another time is no damage", `UPDATE people SET made_at = '2000-01-01'`, ""},
		{"table missing", `DROP TABLE tools CASCADE`, "table tools is missing"},
		{"table too many", `CREATE TABLE extra (a int); GRANT SELECT ON extra TO PUBLIC`, "table extra is there"},
		{"column too many", `ALTER TABLE tools ADD COLUMN weight int`, "column tools.weight is there"},
		{"index missing", `DROP INDEX tools_owner`, "index tools_owner is missing"},
		{"key missing", `ALTER TABLE tools DROP CONSTRAINT tools_owner_fkey`, "constraint tools.tools_owner_fkey is missing"},
		{"key not checked", `ALTER TABLE tools DROP CONSTRAINT tools_owner_fkey, ADD FOREIGN KEY (owner) REFERENCES people (id) ON DELETE CASCADE NOT VALID`, "constraint tools.tools_owner_fkey is"},
		{"policy missing", `DROP POLICY people_all ON people; CREATE POLICY other ON people USING (current_user <> 'anon')`, "policy people.people_all is missing"},
		{"policy lets strangers in", `ALTER POLICY people_all ON people USING (true)`, "a stranger sees 1 rows of people"},
		{"row security not forced", `ALTER TABLE people NO FORCE ROW LEVEL SECURITY`, "table people is"},
		{"function changed", `CREATE OR REPLACE FUNCTION twice(n int) RETURNS int LANGUAGE sql RETURN 3 * n`, "function twice(integer) is"},
		{"type changed", `ALTER TYPE kind ADD VALUE 'none'`, "type kind is"},
		{"view changed", `CREATE OR REPLACE VIEW dear AS SELECT id FROM tools`, "view dear is"},
		{"trigger too many", `CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER t BEFORE INSERT ON tools FOR EACH ROW EXECUTE FUNCTION t()`, "trigger tools.t is there"},
		{"extension too many", `CREATE EXTENSION IF NOT EXISTS citext; SELECT 1`, "extension citext is there"},
		{"seed twice", `INSERT INTO people (id) VALUES ('bob')`, "rows of people is"},
		{"seed changed", `UPDATE tools SET price = 4`, "rows of tools is"},
		{"step missing in the ledger", `DELETE FROM kitshub_ledger WHERE step = 'tools/seed'`, "tools/seed 0 times"},
		{"step twice in the ledger", `INSERT INTO kitshub_ledger SELECT * FROM kitshub_ledger WHERE step = 'tools/seed'`, "tools/seed 2 times"},
		{"edited step", `UPDATE kitshub_ledger SET checksum = 'x' WHERE step = 'tools/0001_t'`, "another checksum for tools/0001_t"},
		{"nobody's", `DELETE FROM kitshub_identity`, "identity has 0 rows"},
		{"a login with power", `ALTER ROLE LOGIN_NAME CREATEDB`, "more power than it should"},
		{"a login that owns", `ALTER TABLE tools OWNER TO LOGIN_NAME`, "can act as the owner of tools"},
		{"a login that writes the ledger", `GRANT UPDATE ON kitshub_ledger TO LOGIN_NAME`, "may write kitshub_ledger"},
		{"an open door", `GRANT CONNECT ON DATABASE LOGIN_NAME TO PUBLIC`, "every role may connect"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wrong, err := judge.Tenant(t.Context(), tenantPG(t, tt.harm), []string{"tools"})
			if err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(wrong, "\n"); (tt.want == "") != (all == "") || !strings.Contains(all, tt.want) {
				t.Errorf("found %q, want %q", all, tt.want)
			}
		})
	}
}

func TestRefusedMeansRefused(t *testing.T) {
	a, b := tenantPG(t, `SELECT 1`), tenantPG(t, `SELECT 1`)
	name := func(address string) string {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimPrefix(u.Path, "/")
	}
	if err := inspect.Refused(t.Context(), a, name(b)); err != nil {
		t.Errorf("a neighbour: %v", err)
	}
	if err := inspect.Refused(t.Context(), a, name(a)); err == nil || !strings.Contains(err.Error(), "opens") {
		t.Errorf("its own: %v", err)
	}
	if err := inspect.Refused(t.Context(), a, "no_such_database"); err == nil {
		t.Error("one that is not there")
	}
	if err := inspect.Refused(t.Context(), strings.Replace(a, "secret", "wrong", 1), name(b)); err == nil {
		t.Error("a wrong password")
	}
}
