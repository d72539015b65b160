package tenantdb_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kitshub/kitshub/internal/hub"
)

var someone = hub.Identity{TenantID: "ten_1", Generation: 1, CatalogVersion: "0123456789abcdef", MAC: "aa"}

func TestIdentify(t *testing.T) {
	onEach(t, func(t *testing.T, d hub.Dialect, open func() *sql.DB) {
		db, tenant := open(), newDB()
		if _, found, err := tenant.ReadIdentity(t.Context(), db, d); err != nil || found {
			t.Fatalf("an empty database has an identity: %v, %v", found, err)
		}
		newer := someone
		newer.CatalogVersion, newer.MAC = "fedcba9876543210", "bb"
		for _, id := range []hub.Identity{someone, someone, newer} {
			if err := tenant.Identify(t.Context(), db, d, id); err != nil {
				t.Fatal(err)
			}
			if got, found, err := tenant.ReadIdentity(t.Context(), db, d); err != nil || !found || got != id {
				t.Fatalf("read %+v, %v, %v; wrote %+v", got, found, err, id)
			}
		}
		other, again := newer, newer
		other.TenantID = "ten_2"
		again.Generation = 2
		for _, id := range []hub.Identity{other, again} {
			wantRefusal(t, tenant.Identify(t.Context(), db, d, id), hub.ClassData, "", 0)
			if got, _, err := tenant.ReadIdentity(t.Context(), db, d); err != nil || got != newer {
				t.Fatalf("a refusal changed the identity to %+v (%v)", got, err)
			}
		}
	})
}

func TestProbe(t *testing.T) {
	onEach(t, func(t *testing.T, d hub.Dialect, open func() *sql.DB) {
		db, tenant := open(), newDB()
		seed := step(hub.StepSeed, "core/seed", "INSERT INTO effects VALUES (2)")
		applied := []hub.Step{{Name: "create", Kind: hub.StepCreate}, effects, seed, step(hub.StepCheck, "core/check", "SELECT 1")}
		wantProbe := func(what, says string, id hub.Identity, steps []hub.Step) {
			t.Helper()
			err := tenant.Probe(t.Context(), db, d, id, steps)
			if fault := wantFault(t, err, hub.ClassData, "", 0); !strings.Contains(fault.Error(), says) {
				t.Errorf("%s: %v, want it to say %q", what, err, says)
			}
		}
		wantProbe("empty database", "no identity", someone, nil)
		apply(t, db, d, effects)
		if err := tenant.Identify(t.Context(), db, d, someone); err != nil {
			t.Fatal(err)
		}
		wantProbe("a step is missing", "core/seed is missing", someone, applied)
		apply(t, db, d, seed)
		if err := tenant.Probe(t.Context(), db, d, someone, applied); err != nil {
			t.Fatalf("a good database: %v", err)
		}
		if n := count(t, db, "SELECT count(*) FROM kitshub_probe"); n != 0 {
			t.Errorf("the probe left %d rows", n)
		}
		edited := migration(effects.Name, "SELECT 2")
		wantProbe("another checksum", "has checksum", someone, []hub.Step{edited})
		for what, change := range map[string]func(*hub.Identity){
			"belongs to tenant":                 func(id *hub.Identity) { id.TenantID = "ten_2" },
			"generation 1, not":                 func(id *hub.Identity) { id.Generation = 2 },
			"catalog version 0123456789abcdef,": func(id *hub.Identity) { id.CatalogVersion = "x" },
			"seal":                              func(id *hub.Identity) { id.MAC = "bb" },
		} {
			id := someone
			change(&id)
			wantProbe(what, what, id, applied)
		}
		exec(t, db, "DROP TABLE kitshub_probe")
		wantRefusal(t, tenant.Probe(t.Context(), db, d, someone, applied), hub.ClassBug, "", 0)
	})
}

func TestProbeFindsBrokenReferences(t *testing.T) {
	db := engines[0].fresh(t)()
	apply(t, db, hub.SQLite, migration("core/0001", "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p INTEGER REFERENCES p (id));"))
	if err := newDB().Identify(t.Context(), db, hub.SQLite, someone); err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	exec(t, db, "PRAGMA foreign_keys = OFF")
	exec(t, db, "INSERT INTO c VALUES (7)")
	fault := wantFault(t, newDB().Probe(t.Context(), db, hub.SQLite, someone, nil), hub.ClassData, "", 0)
	if !strings.Contains(fault.Error(), "table=c") {
		t.Errorf("%v does not name the table", fault)
	}
}

func TestProbeNeedsToWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tenant.db")
	db := opened(t, "sqlite", "file:"+path)
	apply(t, db, hub.SQLite, effects)
	if err := newDB().Identify(t.Context(), db, hub.SQLite, someone); err != nil {
		t.Fatal(err)
	}
	reader := opened(t, "sqlite", "file:"+path+"?mode=ro")
	fault := wantFault(t, newDB().Probe(t.Context(), reader, hub.SQLite, someone, []hub.Step{effects}), hub.ClassAuth, "", 0)
	if !strings.HasPrefix(fault.Code, "SQLITE_READONLY") {
		t.Errorf("code %q", fault.Code)
	}
}

func TestNoDatabaseIsDataFault(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tenant.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	db := opened(t, "sqlite", "file:"+path)
	fault := wantFault(t, newDB().Apply(t.Context(), db, hub.SQLite, effects), hub.ClassData, "", 0)
	if fault.Code != "SQLITE_NOTADB" {
		t.Errorf("code %q", fault.Code)
	}
}

func TestCheck(t *testing.T) {
	onEach(t, func(t *testing.T, d hub.Dialect, open func() *sql.DB) {
		db := open()
		apply(t, db, d, effects)
		check := func(text string) error {
			return newDB().Check(t.Context(), db, d, step(hub.StepCheck, "core/check", text))
		}
		if err := check("SELECT n FROM effects WHERE n > 1;\n-- nothing\nSELECT 1 WHERE 1 = 0"); err != nil {
			t.Errorf("a check without rows: %v", err)
		}
		long := strings.Repeat("ä", 500)
		err := check("SELECT n FROM effects WHERE n > 1;\n\nSELECT n, NULL AS gone, '" + long + "' AS note FROM effects;")
		fault := wantFault(t, err, hub.ClassData, "features/core/check.sql", 3)
		if says := fault.Error(); !strings.Contains(says, "n=1, gone=NULL, note=ää") || utf8.RuneCountInString(says) > 400 {
			t.Errorf("says %q (%d characters)", says, utf8.RuneCountInString(says))
		}
		wantRefusal(t, check("SELECT 1 WHERE 1 = 0;\nSELECT * FROM nowhere"), hub.ClassCatalog, "features/core/check.sql", 2)
		if _, err := db.ExecContext(t.Context(), "INSERT INTO effects VALUES (3)"); err != nil {
			t.Errorf("a check left its transaction open: %v", err)
		}
	})
}
