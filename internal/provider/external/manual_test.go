package external

import (
	"strings"
	"testing"
)

// The whole way, and back: nothing is left, and the database can be brought again.
func TestManualThereAndBack(t *testing.T) {
	t.Parallel()
	for name, rights := range map[string]string{"plain owner": "", "with CREATEROLE": "CREATEROLE", "superuser": "SUPERUSER"} {
		t.Run(name, func(t *testing.T) {
			g, p := newGround(t, rights), manual()
			before := g.all()
			steps, cuts := core(t), []int{-1}
			if rights == "" {
				steps, cuts = enterprise(t), []int{0, 9, -1}
			}
			for _, upTo := range cuts {
				x := bring(t, p, "ten_1", conn(g.URL))
				provision(t, p, x, steps, upTo)
				if upTo > 1 {
					provision(t, p, x, steps, upTo) // again, as after a crash
				}
				drop(t, p, x)
				if after := g.all(); after != before {
					t.Fatalf("after %d steps and back there is\n%s\nthere was\n%s", upTo, after, before)
				}
				drop(t, p, x)
			}
		})
	}
}

// What others put into the database while it was a tenant's stays.
func TestDropLeavesWhatIsOthers(t *testing.T) {
	t.Parallel()
	g, p := newGround(t, ""), manual()
	g.su(`CREATE EXTENSION pgcrypto SCHEMA public`)
	before := g.all()
	x := bring(t, p, "ten_1", conn(g.URL))
	provision(t, p, x, core(t), -1)
	g.as(`CREATE TABLE mine (id integer PRIMARY KEY); INSERT INTO mine VALUES (7); CREATE SCHEMA app2; CREATE TYPE app2.mood AS ENUM ('good');
		CREATE TABLE app2.more (id integer REFERENCES public.mine (id), m app2.mood); CREATE FUNCTION app2.f() RETURNS integer LANGUAGE sql AS 'SELECT 1';
		GRANT SELECT ON people TO PUBLIC; ALTER TABLE people ADD COLUMN nick text; CREATE INDEX ON people (nick); ANALYZE`)
	drop(t, p, x)
	g.as(`DO $$ BEGIN IF (SELECT count(*) FROM mine) <> 1 OR app2.f() <> 1 THEN RAISE 'gone'; END IF; END $$`)
	g.as(`DROP TABLE mine, app2.more; DROP SCHEMA app2 CASCADE`)
	if after := g.all(); after != before {
		t.Errorf("there is\n%s\nthere was\n%s", after, before)
	}
}

// What of others hangs on the pipeline's tables keeps them: all or nothing.
func TestDropRefusesToTearOthersThings(t *testing.T) {
	t.Parallel()
	for name, tie := range map[string]string{
		"view":        `CREATE VIEW mine AS SELECT name FROM people`,
		"foreign key": `CREATE TABLE mine (p text REFERENCES people (id))`,
		"policy":      `CREATE TABLE mine (n integer); ALTER TABLE mine ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON mine USING (app.allowed())`,
		"default":     `CREATE TABLE mine (n boolean DEFAULT app.allowed())`,
		"column type": `CREATE TABLE mine (p people)`,
	} {
		t.Run(name, func(t *testing.T) {
			g, p := newGround(t, ""), manual()
			x := bring(t, p, "ten_1", conn(g.URL))
			provision(t, p, x, core(t), -1)
			g.as(tie)
			before := g.all()
			err := p.Drop(t.Context(), x.Backend, x.Credentials)
			if err == nil || !strings.Contains(err.Error(), "mine") {
				t.Errorf("got %v", err)
			}
			if after := g.all(); after != before {
				t.Errorf("there is\n%s\nthere was\n%s", after, before)
			}
		})
	}
}

// Another tenant's seal keeps everybody out, and their clearing up as well.
func TestAnotherTenantsSeal(t *testing.T) {
	t.Parallel()
	g, p := newGround(t, ""), manual()
	x := bring(t, p, "ten_1", conn(g.URL))
	provision(t, p, x, core(t), 2)
	before := g.all()
	_, _, _, err := p.Bring(t.Context(), "ten_2", 1, conn(g.URL))
	if err == nil || !strings.Contains(err.Error(), "seal of another tenant") {
		t.Errorf("got %v", err)
	}
	other := x
	other.TenantID = "ten_2"
	if err := p.Create(t.Context(), other.Backend, other.Credentials, noTemplate); err == nil || !strings.Contains(err.Error(), "seal of another tenant") {
		t.Errorf("got %v", err)
	}
	drop(t, p, other)
	if after := g.all(); after != before {
		t.Error("it was touched")
	}
	bring(t, p, "ten_1", conn(g.URL)) // its own may come again
}
