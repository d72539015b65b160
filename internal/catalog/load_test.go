package catalog_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kitshub/kitshub/internal/catalog"
	"github.com/kitshub/kitshub/internal/hub"
)

func asError(err error, target **catalog.Error) bool { return errors.As(err, target) }

func TestLoad(t *testing.T) {
	c, err := catalog.Load(with(changes{
		"plans.yaml":              text("plans:\n  - id: two\n    name: Two\n    description: Both.\n    priority: 2\n    price_monthly: 5\n    price_yearly: 50\n    features: [b]\n    provisioning: operator\n    sla: 4h\n  - {id: one, name: One}\n"),
		"features/z/feature.yaml": text("name: z\nposition: 1\n"), "features/core/feature.yaml": text("name: core\n"),
		"features/z/0001_z.sqlite.sql": text("-- kitshub:no-transaction\nVACUUM;\n"), "features/z/0001_z.postgres.sql": text("SELECT 1;\n"),
	}))
	if err != nil {
		t.Fatal(err)
	}
	wantPlans := []hub.Plan{
		{ID: "two", Name: "Two", Description: "Both.", Priority: 2, PriceMonthly: 5, PriceYearly: 50, Features: []string{"b"}, Provisioning: hub.ByOperator, SLASeconds: 4 * 60 * 60},
		{ID: "one", Name: "One", Provisioning: hub.Automatic},
	}
	if diff := cmp.Diff(wantPlans, c.Plans); diff != "" {
		t.Errorf("plans (-want +got):\n%s", diff)
	}
	var got []string
	for _, f := range c.Features {
		got = append(got, f.Name+"/"+f.Title+"<"+strings.Join(f.DependsOn, ","))
		for _, scripts := range [][]hub.Script{f.Migrations, f.Seeds, f.Checks} {
			for _, s := range scripts {
				got = append(got, "  "+s.Name+" "+s.Text[hub.SQLite].File+" "+s.Text[hub.Postgres].File)
			}
		}
	}
	want := []string{
		"core/core<",
		"z/z<", "  0001_z features/z/0001_z.sqlite.sql features/z/0001_z.postgres.sql",
		"a/A<", "  0001_a features/a/0001_a.sql features/a/0001_a.sql",
		"  0002_more features/a/0002_more.sqlite.sql features/a/0002_more.postgres.sql", "  seed features/a/seed.sql features/a/seed.sql",
		"b/b<a", "  0001_b features/b/0001_b.sql features/b/0001_b.sql",
		"  check features/b/check.sql features/b/check.sql",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("features (-want +got):\n%s", diff)
	}
	z, _ := c.Feature("z")
	if text := z.Migrations[0].Text; !text[hub.SQLite].NoTransaction || text[hub.Postgres].NoTransaction {
		t.Error("the mark for no transaction belongs to the SQLite text alone")
	}
}

func TestVersion(t *testing.T) {
	load := func(ch changes) string {
		t.Helper()
		c, err := catalog.Load(with(ch))
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Version) != 16 || strings.Trim(c.Version, "0123456789abcdef") != "" {
			t.Errorf("the version %q is not 16 hexadecimal digits", c.Version)
		}
		return c.Version
	}
	base := load(nil)
	for name, ch := range map[string]changes{
		"migration": {"features/a/0001_a.sql": text("CREATE TABLE a (id text);\n")},
		"dialect":   {"features/a/0002_more.postgres.sql": text("CREATE TABLE more (id text);\n")},
		"seed":      {"features/a/seed.sql": text("INSERT INTO a (id) VALUES ('y');\n")},
		"check":     {"features/b/check.sql": text("SELECT id FROM b;\n")},
		"order":     {"features/b/feature.yaml": text("name: b\n")},
	} {
		if load(ch) == base {
			t.Errorf("another %s has the same version", name)
		}
	}
	for name, ch := range map[string]changes{
		"the same again": nil,
		"a price":        {"plans.yaml": text("plans:\n  - {id: one, name: One, price_monthly: 3}\n")},
		"a title":        {"features/a/feature.yaml": text("name: a\ntitle: Other\n")},
	} {
		if load(ch) != base {
			t.Errorf("%s changed the version", name)
		}
	}
}

func TestLoadErrorShowsPlaceCaretAndNextStep(t *testing.T) {
	_, err := catalog.Load(with(changes{
		"plans.yaml":              text("plans:\n  - id: one\n    nam: One\n"),
		"features/b/feature.yaml": text("name: b\ndepends_on: [zz]\n"),
	}))
	if err == nil {
		t.Fatal("it loaded")
	}
	for _, want := range []string{"2 problem(s)", `plans.yaml:3: unknown field "nam" [yaml]. Correct the file`, ">  3 |     nam: One\n           ^", `features/b/feature.yaml:2: feature "b" depends on "zz", which is not there [unknown-dependency]. Use one of: a, b`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}

func TestOpen(t *testing.T) {
	builtin, err := catalog.Open("")
	if err != nil {
		t.Fatal(err)
	}
	fromDisk, err := catalog.Open("builtin")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(builtin, fromDisk); diff != "" {
		t.Errorf("the embedded catalog is not the folder (-embedded +folder):\n%s", diff)
	}
	for name, dir := range map[string]string{"check CATALOG_DIR": filepath.Join(t.TempDir(), "gone"), "is no folder": "builtin/plans.yaml", "plans.yaml:1": t.TempDir()} {
		if _, err := catalog.Open(dir); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Open(%s) gave %v; want %q in it", dir, err, name)
		}
	}
}
