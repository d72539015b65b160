package inspect_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/kitshub/kitshub/internal/proof/inspect"
)

const (
	coreSQL = `CREATE TABLE people (id TEXT PRIMARY KEY, made_at TEXT NOT NULL DEFAULT (datetime('now'))) STRICT;`
	toolSQL = `CREATE TABLE tools (id TEXT PRIMARY KEY, owner TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE, price INTEGER) STRICT;
CREATE INDEX tools_owner ON tools (owner);`
	seedSQL = `INSERT INTO people (id) VALUES ('ann'); INSERT INTO tools (id, owner, price) VALUES ('saw', 'ann', 3);`
)

var folder = fstest.MapFS{
	"plans.yaml":                         {Data: []byte("plans:\n  - id: one\n    name: One\n    features: [tools]\n")},
	"features/core/feature.yaml":         {Data: []byte("name: core\nposition: 0\n")},
	"features/core/0001_people.sql":      {Data: []byte(coreSQL)},
	"features/tools/feature.yaml":        {Data: []byte("name: tools\ndepends_on: [core]\nposition: 10\n")},
	"features/tools/0001_t.sqlite.sql":   {Data: []byte(toolSQL)},
	"features/tools/0001_t.postgres.sql": {Data: []byte("SELECT not for us")},
	"features/tools/seed.sql":            {Data: []byte(seedSQL)},
	"features/tools/check.sql":           {Data: []byte("SELECT 1 WHERE false;")},
}

// tenant makes a file as the pipeline should leave it, then does harm to it.
func tenant(t *testing.T, harm string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ten 1.db")
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	sum := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	for _, q := range []string{
		`CREATE TABLE kitshub_ledger (step TEXT, checksum TEXT)`, `CREATE TABLE kitshub_identity (tenant_id TEXT)`,
		`INSERT INTO kitshub_identity VALUES ('ten_1')`, coreSQL, toolSQL, seedSQL,
		`INSERT INTO kitshub_ledger VALUES ('core/0001_people', '` + sum(coreSQL) + `'), ('tools/0001_t', '` + sum(toolSQL) + `'), ('tools/seed', '` + sum(seedSQL) + `')`,
		harm,
	} {
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}

// Every kind of damage is found; a judge that passes everything is worth nothing.
func TestJudgeFindsEveryDamage(t *testing.T) {
	c, err := inspect.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	judge := inspect.NewJudge(c)
	t.Cleanup(func() {
		if err := judge.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, tt := range []struct{ name, harm, want string }{
		{"nothing wrong", `SELECT 1`, ""},
		{"another time is no damage", `UPDATE people SET made_at = 'long ago'`, ""},
		{"table missing", `DROP TABLE tools`, "table tools is missing"},
		{"table too many", `CREATE TABLE extra (a)`, "table extra is there"},
		{"column too many", `ALTER TABLE tools ADD COLUMN weight INTEGER`, "column tools.weight is there"},
		{"index missing", `DROP INDEX tools_owner`, "index tools_owner is missing"},
		{"key missing", `DROP TABLE tools; CREATE TABLE tools (id TEXT PRIMARY KEY, owner TEXT NOT NULL, price INTEGER) STRICT`, "foreign key tools.0.0 is missing"},
		{"other delete rule", `DROP TABLE tools; CREATE TABLE tools (id TEXT PRIMARY KEY, owner TEXT NOT NULL REFERENCES people (id), price INTEGER) STRICT`, "foreign key tools.0.0 is"},
		{"seed twice", `INSERT INTO people (id) VALUES ('bob')`, "rows of people is"},
		{"seed lost", `DELETE FROM tools`, "rows of tools is"},
		{"seed changed", `UPDATE tools SET price = 4`, "rows of tools is"},
		{"dangling", `INSERT INTO tools VALUES ('axe', 'nobody', 1)`, "1 rows refer"},
		{"step missing in the ledger", `DELETE FROM kitshub_ledger WHERE step = 'tools/seed'`, "tools/seed 0 times"},
		{"step twice in the ledger", `INSERT INTO kitshub_ledger SELECT * FROM kitshub_ledger WHERE step = 'tools/seed'`, "tools/seed 2 times"},
		{"edited step", `UPDATE kitshub_ledger SET checksum = 'x' WHERE step = 'tools/0001_t'`, "another checksum for tools/0001_t"},
		{"step of another catalog", `INSERT INTO kitshub_ledger VALUES ('x/0001_y', '')`, "that the catalog has not: x/0001_y"},
		{"nobody's", `DELETE FROM kitshub_identity`, "identity has 0 rows"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wrong, err := judge.Tenant(t.Context(), tenant(t, tt.harm), []string{"tools"})
			if err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(wrong, "\n"); (tt.want == "") != (all == "") || !strings.Contains(all, tt.want) {
				t.Errorf("found %q, want %q", all, tt.want)
			}
		})
	}
}

func TestMissingFileIsNotMade(t *testing.T) {
	c, err := inspect.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "none.db")
	judge := inspect.NewJudge(c)
	if _, err := judge.Tenant(t.Context(), file, []string{"tools"}); err == nil {
		t.Error("a database that is not there passed")
	}
	if err := judge.Close(); err != nil {
		t.Error(err)
	}
}

// The judge must share nothing with what it judges.
func TestSharesNothingWithThePipeline(t *testing.T) {
	out, err := exec.CommandContext(context.Background(), "go", "list", "-deps", ".", "../drive").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range strings.Fields(string(out)) {
		if strings.HasPrefix(dep, "github.com/kitshub/kitshub/") && !strings.HasPrefix(dep, "github.com/kitshub/kitshub/internal/proof/") {
			t.Errorf("imports %s", dep)
		}
	}
}
