package catalog_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/kitshub/kitshub/internal/catalog"
)

// sound is a small catalog without a fault; each case changes some of its files.
var sound = map[string]string{
	"plans.yaml":                           "plans:\n  - id: one\n    name: One\n    features: [b]\n",
	"features/a/feature.yaml":              "name: a\ntitle: A\n",
	"features/a/0001_a.sql":                "CREATE TABLE a (\n    id text PRIMARY KEY\n);\n",
	"features/a/0002_more.sqlite.sql":      "CREATE TABLE more (id TEXT PRIMARY KEY) STRICT;\n",
	"features/a/0002_more.postgres.sql":    "CREATE TABLE more (id text PRIMARY KEY);\nDO $$ BEGIN NULL; END $$;\n",
	"features/a/seed.sql":                  "INSERT INTO a (id) VALUES ('x');\n",
	"features/a/README.md":                 "Files that are no SQL are nobody's business.\n",
	"features/b/feature.yaml":              "name: b\ndepends_on:\n  - a\n",
	"features/b/0001_b.sql":                "CREATE TABLE b (id text PRIMARY KEY, a_id text REFERENCES a (id));\n",
	"features/b/check.sql":                 "SELECT 'no x' WHERE NOT EXISTS (SELECT 1 FROM a);\n\n-- second\nSELECT id FROM b;\n",
	"features/.hidden/0001_whatever.sql":   "nonsense",
	"features/a/notes/0009_not_a_file.sql": "nonsense",
}

// with gives the sound catalog with some files changed; nil content removes.
func with(changes map[string]*string) fstest.MapFS {
	files := maps.Clone(sound)
	for name, text := range changes {
		if text == nil {
			delete(files, name)
			continue
		}
		files[name] = *text
	}
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

type changes = map[string]*string

func text(s string) *string { return &s }

var structural = []struct {
	name    string
	changes changes
	want    []string // file:line rule: part of the message
}{
	{"no plans", changes{"plans.yaml": nil}, []string{"plans.yaml:1 missing-file: no plans.yaml"}},
	{"empty plans", changes{"plans.yaml": text("plans: []\n")}, []string{"plans.yaml:1 plan: no plan"}},
	{"unknown field", changes{"plans.yaml": text("plans:\n  - id: one\n    name: One\n    prise_monthly: 3\n")}, []string{`plans.yaml:4 yaml: unknown field "prise_monthly"`}},
	{"bad syntax", changes{"plans.yaml": text("plans:\n  - id: [one\n")}, []string{"plans.yaml:2 yaml: "}},
	{"wrong type", changes{"plans.yaml": text("plans:\n  - id: one\n    name: One\n    price_monthly: much\n")}, []string{"plans.yaml:4 yaml: "}},
	{
		"bad plan, all at once",
		changes{"plans.yaml": text("plans:\n  - id: One\n    name: ''\n    priority: 3\n    price_monthly: -1\n    price_yearly: -2\n    provisioning: magic\n    sla: soon\n    features:\n      - b\n      - c\n      - b\n")},
		[]string{
			`plans.yaml:2 plan: "One" is no id`, `plans.yaml:3 plan: has no name`, `plans.yaml:4 plan: priority 3`, `plans.yaml:5 plan: price -1`, `plans.yaml:6 plan: price -2`,
			`plans.yaml:7 plan: provisioning "magic"`, `plans.yaml:8 plan: sla "soon"`, `plans.yaml:11 plan-feature: feature "c"`, `plans.yaml:12 duplicate: "b" twice`,
		},
	},
	{"plan twice", changes{"plans.yaml": text("plans:\n  - {id: one, name: One}\n  - {id: one, name: Two}\n")}, []string{`plans.yaml:3 duplicate: already on line 2`}},
	{
		"no features",
		changes{
			"features/a/feature.yaml": nil, "features/a/0001_a.sql": nil, "features/a/0002_more.sqlite.sql": nil, "features/a/0002_more.postgres.sql": nil, "features/a/seed.sql": nil,
			"features/a/README.md": nil, "features/a/notes/0009_not_a_file.sql": nil, "features/.hidden/0001_whatever.sql": nil,
			"features/b/feature.yaml": nil, "features/b/0001_b.sql": nil, "features/b/check.sql": nil,
		},
		[]string{"features:1 missing-file: no folder features", `plans.yaml:4 plan-feature: feature "b"`},
	},
	{"no feature.yaml", changes{"features/a/feature.yaml": nil}, []string{"features/a/feature.yaml:1 missing-file: no feature.yaml"}},
	{"folder's name", changes{"features/Big-One/feature.yaml": text("name: Big-One\n")}, []string{`features/Big-One:1 file-name: "Big-One" is no name`}},
	{"other name inside", changes{"features/a/feature.yaml": text("title: A\nname: aa\n")}, []string{`features/a/feature.yaml:2 feature: says its name is "aa"`}},
	{"unknown dependency", changes{"features/b/feature.yaml": text("name: b\ndepends_on:\n  - a\n  - zz\n")}, []string{`features/b/feature.yaml:4 unknown-dependency: "zz"`}},
	{"dependency twice", changes{"features/b/feature.yaml": text("name: b\ndepends_on: [a, a]\n")}, []string{`features/b/feature.yaml:2 duplicate: "a" twice`}},
	{"cycle of two", changes{"features/a/feature.yaml": text("name: a\ntitle: A\ndepends_on: [b]\n")}, []string{"features/b/feature.yaml:3 cycle: a → b → a"}},
	{"cycle of one", changes{"features/b/feature.yaml": text("name: b\ndepends_on:\n  - a\n  - b\n")}, []string{"features/b/feature.yaml:4 cycle: b → b"}},
	{"missing dialect", changes{"features/a/0002_more.postgres.sql": nil}, []string{"features/a/0002_more.sqlite.sql:1 missing-dialect: no text for postgres"}},
	{"missing dialect of a seed", changes{"features/b/seed.postgres.sql": text("SELECT 1;\n")}, []string{"features/b/seed.postgres.sql:1 missing-dialect: no text for sqlite"}},
	{"portable and of a dialect", changes{"features/a/0001_a.sqlite.sql": text("CREATE TABLE a (id TEXT);\n")}, []string{"features/a/0001_a.sqlite.sql:1 duplicate: already given for sqlite by features/a/0001_a.sql"}},
	{"number twice", changes{"features/a/0002_again.sql": text("SELECT 1;\n")}, []string{"features/a/0002_more.postgres.sql:1 duplicate: 0002 is already taken by 0002_again"}},
	{"misnamed file", changes{"features/a/3_c.sql": text("SELECT 1;\n")}, []string{"features/a/3_c.sql:1 file-name: neither its place nor its purpose"}},
	{"misnamed dialect", changes{"features/a/0003_c.mysql.sql": text("SELECT 1;\n")}, []string{"features/a/0003_c.mysql.sql:1 file-name: neither"}},
	{"empty script", changes{"features/a/0003_c.sql": text("-- later\n")}, []string{"features/a/0003_c.sql:1 empty-script: no statement"}},
}

func TestLoadReportsStructure(t *testing.T) {
	for _, tt := range structural {
		t.Run(tt.name, func(t *testing.T) {
			fsys := with(tt.changes)
			_, err := catalog.Load(fsys)
			var bad *catalog.Error
			if !asError(err, &bad) {
				t.Fatalf("Load gave %v", err)
			}
			compare(t, tt.want, bad.Findings)
		})
	}
}

// TestLintReportsStructure holds that what Load refuses is no less and no more in Lint: one fault must not show as many.
func TestLintReportsStructure(t *testing.T) {
	for _, tt := range structural {
		t.Run(tt.name, func(t *testing.T) { compare(t, tt.want, catalog.Lint(context.Background(), with(tt.changes))) })
	}
}

func TestLintReportsSQL(t *testing.T) {
	lock, err := catalog.Lock(with(nil))
	if err != nil {
		t.Fatal(err)
	}
	line := func(file string) int {
		before, _, ok := strings.Cut(string(lock), "  "+file)
		if !ok {
			t.Fatalf("%s is not in the lock", file)
		}
		return 1 + strings.Count(before, "\n")
	}
	released := text(string(lock))
	for _, tt := range []struct {
		name    string
		changes changes
		want    []string
	}{
		{"sound", nil, nil},
		{"sound and released", changes{"catalog.lock": released}, nil},
		{"a new migration is no edit", changes{"catalog.lock": released, "features/a/0003_c.sql": text("CREATE TABLE c (id text);\n")}, nil},
		{"a changed seed is no edit", changes{"catalog.lock": released, "features/a/seed.sql": text("INSERT INTO a (id) VALUES ('y');\n")}, nil},
		{"edited", changes{"catalog.lock": released, "features/b/0001_b.sql": text("CREATE TABLE b (id text PRIMARY KEY);\n")}, []string{"features/b/0001_b.sql:1 edited-migration: was edited"}},
		{
			"removed",
			changes{"catalog.lock": released, "features/b/0001_b.sql": nil, "features/b/check.sql": nil},
			[]string{fmt.Sprintf("catalog.lock:%d removed-migration: features/b/0001_b.sql is gone", line("features/b/0001_b.sql"))},
		},
		{"before a released one", changes{"catalog.lock": released, "features/b/0000_b.sql": text("CREATE TABLE b0 (id text);\n")}, []string{"features/b/0000_b.sql:1 migration-order: comes before 0001_b"}},
		{"bad lock", changes{"catalog.lock": text("# fine\nnot a line\n")}, []string{"catalog.lock:2 lock: no checksum and path"}},
		{"syntax in portable text", changes{"features/a/0003_c.sql": text("CREATE TABLE c (id text);\n\nCREATE TABLE d (\n    id text,\n    FOREIGN id text\n);\n")}, []string{"features/a/0003_c.sql:5 sql: near"}},
		{"syntax at the end", changes{"features/a/0003_c.sql": text("CREATE TABLE c (id text);\nSELECT (1\n")}, []string{"features/a/0003_c.sql:2 sql: incomplete"}},
		{"syntax in postgres only", changes{"features/a/0002_more.postgres.sql": text("-- ü\nCREATE TABLE more (id text PRIMARY KEY);\nDO $$ BEGIN NULL; END $$ LANGUAGES x;\nALTER more;\n")}, []string{"features/a/0002_more.postgres.sql:3 sql: Postgres cannot parse"}},
		{"syntax in sqlite only", changes{"features/a/0002_more.sqlite.sql": text("CREATE TABLE more (id TEXT PRIMARY KEY)\nLOOSE;\n")}, []string{"features/a/0002_more.sqlite.sql:2 sql: LOOSE"}},
		{
			"the second of two equal tokens",
			changes{"features/a/0003_c.sql": text("SELECT 1 FROM a\nWHERE id IN (SELECT id FROM a)\nFROM a;\n")},
			[]string{`features/a/0003_c.sql:3 sql: near "FROM"`},
		},
		{"unknown table", changes{"features/a/seed.sql": text("INSERT INTO a (id) VALUES ('x');\nINSERT INTO\n    nowhere (id) VALUES ('x');\n")}, []string{"features/a/seed.sql:3 sql: no such table: nowhere"}},
		{"unknown column", changes{"features/a/seed.sql": text("INSERT INTO a (id)\nSELECT idd\nFROM a;\n")}, []string{"features/a/seed.sql:2 sql: no such column: idd"}},
		{"broken foreign key", changes{"features/b/seed.sql": text("INSERT INTO b (id) VALUES ('x');\nINSERT INTO b VALUES ('y', 'gone');\n")}, []string{"features/b/seed.sql:2 sql: FOREIGN KEY constraint failed"}},
		{"dependency not declared", changes{"features/b/feature.yaml": text("name: b\n"), "features/b/check.sql": text("SELECT 1\nFROM a WHERE false;\n")}, []string{"features/b/check.sql:2 sql: no such table: a"}},
		{"two features, one table", changes{"features/b/0001_b.sql": text("CREATE TABLE b (id text);\n"), "features/b/feature.yaml": text("name: b\n"), "features/b/check.sql": nil, "features/b/0002_a.sql": text("CREATE TABLE a (id text);\n")}, []string{"features/b/0002_a.sql:1 sql: table a already exists (with all features"}},
		{"check finds a fault", changes{"features/b/check.sql": text("SELECT 1 WHERE false;\n\nSELECT 'a has ' || id AS fault FROM a;\n")}, []string{"features/b/check.sql:3 check: a has x"}},
		{"check that writes", changes{"features/b/check.sql": text("SELECT 1 WHERE false;\nDELETE FROM a;\n")}, []string{"features/b/check.sql:2 sql: attempt to write a readonly database"}},
		{"no file is attached", changes{"features/a/seed.sql": text("ATTACH DATABASE 'x.db' AS x;\n")}, []string{"features/a/seed.sql:1 sql: "}},
		{"vacuum outside a transaction", changes{"features/a/seed.sqlite.sql": text("-- kitshub:no-transaction\nVACUUM;\n"), "features/a/seed.postgres.sql": text("SELECT 1;\n"), "features/a/seed.sql": nil, "features/b/check.sql": nil}, nil},
		{"vacuum inside one", changes{"features/a/seed.sqlite.sql": text("VACUUM;\n"), "features/a/seed.postgres.sql": text("SELECT 1;\n"), "features/a/seed.sql": nil, "features/b/check.sql": nil}, []string{"features/a/seed.sqlite.sql:1 sql: VACUUM"}},
		{
			"what Postgres refuses in a transaction",
			changes{"features/a/0003_c.sqlite.sql": text("SELECT 1;\n"), "features/a/0003_c.postgres.sql": text("ANALYZE a;\nCREATE INDEX i ON a (id);\n\nCREATE INDEX CONCURRENTLY j ON a (id);\nVACUUM a;\nREINDEX INDEX CONCURRENTLY i;\nDROP INDEX CONCURRENTLY i;\n")},
			[]string{
				"features/a/0003_c.postgres.sql:4 sql: refuses", "features/a/0003_c.postgres.sql:5 sql: refuses", "features/a/0003_c.postgres.sql:6 sql: refuses",
				"features/a/0003_c.postgres.sql:7 sql: refuses",
			},
		},
		{
			"what cannot be run again",
			changes{"features/a/0003_c.sqlite.sql": text("SELECT 1;\n"), "features/a/0003_c.postgres.sql": text("-- kitshub:no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS i ON a (id);\nCREATE UNIQUE INDEX CONCURRENTLY j ON a (id);\nDROP INDEX CONCURRENTLY IF EXISTS i;\nDROP INDEX CONCURRENTLY i;\nDROP INDEX IF EXISTS k;\nCREATE INDEX CONCURRENTLY k ON a (id);\nREINDEX TABLE CONCURRENTLY a;\nVACUUM;\n")},
			[]string{"features/a/0003_c.postgres.sql:3 sql: run again", "features/a/0003_c.postgres.sql:5 sql: run again"},
		},
		{"one fault, not one for each that depends on it", changes{"features/a/0001_a.sql": text("CREATE TABLE aa (id text);\nCREATE TABEL a (id text);\n")}, []string{"features/a/0001_a.sql:2 sql: TABEL"}},
		{
			"other columns",
			changes{"features/a/0002_more.postgres.sql": text("\n-- why\nCREATE TABLE more (id text PRIMARY KEY, old text);\nALTER TABLE more ADD COLUMN extra text;\nALTER TABLE more DROP COLUMN old;\n")},
			[]string{"features/a/0002_more.postgres.sql:3 dialects-differ: extra only for postgres"},
		},
		{
			"other tables",
			changes{"features/a/0002_more.postgres.sql": text("CREATE TABLE less (id text PRIMARY KEY);\nCREATE SCHEMA app; CREATE TABLE app.mine (id text);\n")},
			[]string{"features/a/0002_more.postgres.sql:1 dialects-differ: Postgres gets a table less", "features/a/0002_more.sqlite.sql:1 dialects-differ: SQLite gets a table more"},
		},
		{"renamed to the same", changes{"features/a/0002_more.postgres.sql": text("CREATE TABLE les (idd text PRIMARY KEY);\nALTER TABLE les RENAME TO more; ALTER TABLE more RENAME COLUMN idd TO id; CREATE TABLE t (x text); DROP TABLE t;\n")}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) { compare(t, tt.want, catalog.Lint(context.Background(), with(tt.changes))) })
	}
}

func TestLintSaysThatItWasCutShort(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	found := catalog.Lint(ctx, with(nil))
	if len(found) == 0 || found[0].Rule != catalog.RuleInterrupted {
		t.Errorf("a cancelled lint gave %v", found)
	}
}

// compare matches findings with "file:line rule: words of the message", in their order.
func compare(t *testing.T, want []string, found []catalog.Finding) {
	t.Helper()
	var got []string
	for i, f := range found {
		place := fmt.Sprintf("%s:%d %s: ", f.File, f.Line, f.Rule)
		if i < len(want) && strings.HasPrefix(want[i], place) && containsAll(f.Message, strings.TrimPrefix(want[i], place)) {
			got = append(got, want[i])
		} else {
			got = append(got, place+f.Message)
		}
		if f.Fix == "" {
			t.Errorf("%s: no next step is named", f)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// containsAll says whether each word of part is in the message.
func containsAll(message, part string) bool {
	for _, word := range strings.Fields(part) {
		if !strings.Contains(message, word) {
			return false
		}
	}
	return true
}
