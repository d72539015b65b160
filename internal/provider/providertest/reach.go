package providertest

import (
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
)

func planIsDeterministic(t *testing.T, s suite) {
	p := s.open()
	x, y := s.plan(p, "ten_1", 1), s.plan(s.open(), "ten_1", 1)
	if x.Backend != y.Backend || withoutSecret(t, x) != withoutSecret(t, y) { // a plan may draw its passwords anew
		t.Errorf("two plans of one tenant differ: %+v and %+v", x, y)
	}
	if x.TenantID != "ten_1" || x.Generation != 1 || x.Provider != p.Name() || x.Place == "" || x.URL == "" {
		t.Errorf("the plan is incomplete: %+v", x)
	}
	if x.Env["DATABASE_URL"] != x.URL || x.Env["KITSHUB_TENANT"] != "ten_1" {
		t.Errorf("environment %v does not fit URL %s", x.Env, x.URL)
	}
	for _, other := range []tenant{s.plan(p, "ten_2", 1), s.plan(p, "ten_1", 2)} {
		if other.Place == x.Place || other.URL == x.URL {
			t.Errorf("%+v and %+v share a place", x, other)
		}
	}
}

// withoutSecret is the address of a plan without its password.
func withoutSecret(t *testing.T, x tenant) string {
	t.Helper()
	u, err := url.Parse(x.URL)
	if err != nil {
		t.Fatalf("the URL of a plan is none: %v", err)
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	return u.String()
}

func planRefusesWhatIsNoName(t *testing.T, s suite) {
	p := s.open()
	for _, id := range []string{"", ".", "..", "../ten_1", "ten/1", "ten 1", "ten\x001", "-ten", "ten'1", strings.Repeat("a", 300)} {
		if b, _, err := p.Plan(t.Context(), id, 1); err == nil {
			t.Errorf("tenant id %q was given place %q", id, b.Place)
		}
	}
	for _, generation := range []int64{0, -1} {
		if b, _, err := p.Plan(t.Context(), "ten_1", generation); err == nil {
			t.Errorf("generation %d was given place %q", generation, b.Place)
		}
	}
}

func planTouchesNothing(t *testing.T, s suite) {
	p := s.open()
	x := s.plan(p, "ten_1", 1)
	if n, err := p.Size(t.Context(), x.Backend, x.Credentials); err == nil {
		t.Errorf("a plan made a database of %d bytes", n)
	}
}

func openNeverCreates(t *testing.T, s suite) {
	p := s.open()
	x := s.plan(p, "ten_1", 1)
	for _, r := range []hub.Role{hub.RoleOwner, hub.RoleTenant} {
		db, err := p.Open(t.Context(), x.Backend, x.Credentials, r)
		if err == nil {
			t.Errorf("role %s opened a database that is not there", r)
			_ = db.Close()
			continue
		}
		s.wantClass("opening what is not there", err, hub.ClassData)
	}
	if _, err := p.Size(t.Context(), x.Backend, x.Credentials); err == nil {
		t.Error("Open made a database")
	}
	s.create(p, x, newTemplate("k1", nil).Template)
	s.wantItems(p, x, seeded)
}

func openForBothRoles(t *testing.T, s suite) {
	p := s.open()
	x := s.plan(p, "ten_1", 1)
	s.create(p, x, newTemplate("k1", nil).Template)
	for _, r := range []hub.Role{hub.RoleOwner, hub.RoleTenant} {
		s.with(p, x, r, func(db *sql.DB) {
			tx, err := db.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.ExecContext(t.Context(), `INSERT INTO items VALUES (100, 'a row')`); err != nil {
				t.Errorf("role %s cannot write: %v", r, err)
			}
			if err := tx.Rollback(); err != nil {
				t.Errorf("role %s: %v", r, err)
			}
		})
	}
	s.wantItems(p, x, seeded)
	if db, err := p.Open(t.Context(), x.Backend, x.Credentials, "stranger"); err == nil {
		t.Error("an unknown role was let in")
		_ = db.Close()
	}
}

func sizeGrows(t *testing.T, s suite) {
	p := s.open()
	x := s.plan(p, "ten_1", 1)
	s.create(p, x, newTemplate("k1", nil).Template)
	size := func() int64 {
		n, err := p.Size(t.Context(), x.Backend, x.Credentials)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := size()
	if before <= 0 {
		t.Errorf("size %d", before)
	}
	s.exec(p, x, fmt.Sprintf(`INSERT INTO items VALUES (100, '%s')`, strings.Repeat("x", 100_000)))
	if after := size(); after <= before {
		t.Errorf("100 kB were written and the size went from %d to %d", before, after)
	}
}

func dropIsIdempotentAndTakesOneOnly(t *testing.T, s suite) {
	p, tpl := s.open(), newTemplate("k1", nil)
	x, y := s.plan(p, "ten_1", 1), s.plan(p, "ten_10", 1)
	s.create(p, x, tpl.Template)
	s.create(p, y, tpl.Template)
	for range 2 {
		if err := p.Drop(t.Context(), x.Backend, x.Credentials); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Open(t.Context(), x.Backend, x.Credentials, hub.RoleOwner); err == nil {
		t.Error("a dropped database opens")
	}
	s.wantItems(p, y, seeded)
	s.create(p, x, tpl.Template) // a new one at the same place, with nothing of the old
	s.wantItems(p, x, seeded)
}

// A place comes back from the hub's database, which may be wrong; it must never lead to another's data or out of the provider's reach.
func foreignPlacesAreRefused(t *testing.T, s suite) {
	p, tpl := s.open(), newTemplate("k1", nil)
	victim, me := s.plan(p, "ten_victim", 1), s.plan(p, "ten_me", 1)
	s.create(p, victim, tpl.Template)
	places := []string{
		victim.Place, "", ".", "..", "/etc/passwd", "../" + me.Place, "x/../" + me.Place, "./" + me.Place, me.Place + "\x00", me.Place + "-wal",
		strings.ToUpper(me.Place), me.Place + "?mode=memory", "%2e%2e/" + me.Place,
	}
	for _, place := range places {
		b := me.Backend
		b.Place = place
		refused := func(what string, err error) {
			t.Helper()
			if err == nil {
				t.Errorf("%s of tenant %s at place %q was allowed", what, b.TenantID, place)
			}
		}
		refused("Create", p.Create(t.Context(), b, me.Credentials, tpl.Template))
		db, err := p.Open(t.Context(), b, me.Credentials, hub.RoleOwner)
		if err == nil {
			_ = db.Close()
		}
		refused("Open", err)
		_, err = p.Size(t.Context(), b, me.Credentials)
		refused("Size", err)
		refused("Drop", p.Drop(t.Context(), b, me.Credentials))
	}
	b := victim.Backend
	b.Provider = "another"
	if err := p.Drop(t.Context(), b, victim.Credentials); err == nil {
		t.Error("another provider's backend was dropped")
	}
	s.wantItems(p, victim, seeded)
}
