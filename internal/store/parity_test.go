package store_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kitshub/kitshub/internal/store"
)

var update = flag.Bool("update", false, "write the goldens anew")

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("%s (-want +got):\n%s", what, d)
	}
}

var migrationName = regexp.MustCompile(`^\d{4}_[a-z0-9_]+\.sql$`)

// TestSameMigrations: both engines have the same numbers with the same names, without a gap, and each can go back.
func TestSameMigrations(t *testing.T) {
	files := map[string][]string{}
	for engine := range engines {
		for i, f := range list(t, engine) {
			if !migrationName.MatchString(f) || !strings.HasPrefix(f, migrationNumber(i+1)) {
				t.Errorf("%s/%s: a migration is NNNN_name.sql, numbered without a gap", engine, f)
			}
			text, err := fs.ReadFile(store.Migrations(engine), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, mark := range []string{"-- +goose Up\n", "-- +goose Down\n"} {
				if strings.Count(string(text), mark) != 1 {
					t.Errorf("%s/%s has not one %q", engine, f, mark)
				}
			}
			files[engine] = append(files[engine], f)
		}
	}
	same(t, "migrations of Postgres against SQLite's", files["postgres"], files["sqlite"])
	if len(files["sqlite"]) == 0 {
		t.Error("there is no migration")
	}
}

func migrationNumber(n int) string {
	return string([]byte{'0' + byte(n/1000%10), '0' + byte(n/100%10), '0' + byte(n/10%10), '0' + byte(n%10)})
}

func list(t *testing.T, engine string) []string {
	t.Helper()
	entries, err := fs.ReadDir(store.Migrations(engine), ".")
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	slices.Sort(names)
	return names
}

// TestSameSchema: tables, columns, types, what may be missing, keys and indexes are the same on both engines.
func TestSameSchema(t *testing.T) {
	lite, pg := schemaOf(t, openSQLite(t)), schemaOf(t, openPostgres(t))
	same(t, "Postgres against SQLite", pg, lite)
	if len(lite.Tables) < 10 || len(lite.Indexes) < 5 {
		t.Errorf("only %d tables and %d indexes were seen", len(lite.Tables), len(lite.Indexes))
	}
}

// TestTextsSortByByte: Postgres would else order texts by the language of its cluster, SQLite by their bytes.
func TestTextsSortByByte(t *testing.T) {
	s := openPostgres(t)
	wrong := query(t, s, `
		SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = 'public' AND c.relkind = 'r' AND a.atttypid = 'text'::regtype AND a.attcollation <> '"C"'::regcollation`, scanText)
	if len(wrong) > 0 {
		t.Errorf("without COLLATE \"C\": %v", wrong)
	}
}

// TestSchemaGoldens keeps what every migration together makes, for reviewers; run with -update after a change that is meant.
func TestSchemaGoldens(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		path := filepath.Join("testdata", "schema."+s.Engine()+".golden")
		got := dump(t, s)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v; run go test ./internal/store -run Goldens -update", err)
		}
		same(t, path, got, string(want))
	})
}
