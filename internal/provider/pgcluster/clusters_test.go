package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
)

func TestSeveralClusters(t *testing.T) {
	a, b := rigOn(t, newRig(t).super), rigOn(t, newRig(t).super) // two parts of one server will do
	pa, pb := a.provider(func(c *Config) { c.Name = "eins" }), b.provider(func(c *Config) { c.Name = "zwei" })
	c, err := NewClusters(pa, pb)
	if err != nil {
		t.Fatal(err)
	}
	homes := map[string]int{}
	for i := range 200 {
		x, _, err := c.Plan(t.Context(), fmt.Sprintf("ten_%d", i), 1)
		again, _, _ := c.Plan(t.Context(), fmt.Sprintf("ten_%d", i), 1)
		if err != nil || again != x {
			t.Fatalf("planned as %+v and %+v, %v", x, again, err)
		}
		homes[x.Place[:4]]++
	}
	if homes["eins"] < 60 || homes["zwei"] < 60 {
		t.Errorf("spread as %v", homes)
	}
	be, cr, err := c.Plan(t.Context(), "ten_1", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Create(t.Context(), be, cr, things); err != nil {
		t.Fatal(err)
	}
	db, err := c.Open(t.Context(), be, cr, hub.RoleTenant)
	if err != nil {
		t.Fatal(err)
	}
	_ = db.Close()
	if n, err := c.Size(t.Context(), be, cr); n == 0 || err != nil {
		t.Errorf("size %d, %v", n, err)
	}
	found := 0
	all, err := c.List(t.Context())
	for _, i := range all {
		if got, ok := i.Backend(); ok && got == be {
			found++
		}
	}
	if found != 1 || err != nil {
		t.Errorf("listed %d times, %v", found, err)
	}
	gone := be
	gone.Place = "drei/" + be.Place[5:]
	a.wantFault("a cluster that is not there", c.Drop(t.Context(), gone, cr), hub.ClassAuth, "NO_CLUSTER")
	if err := c.Drop(t.Context(), be, cr); err != nil {
		t.Fatal(err)
	}
	if _, err := NewClusters(pa, pa); err == nil {
		t.Error("two clusters of one name were taken")
	}
	if _, err := NewClusters(); err == nil || errors.Is(err, errNoTemplate) {
		t.Error("no cluster was taken")
	}
}

// A cluster that does not let the hub in gets no new tenants, until it does again.
func TestNewTenantsGoWhereTheHubIsLetIn(t *testing.T) {
	r := newRig(t)
	here, away := r.provider(func(c *Config) { c.Name = "here" }), r.provider(func(c *Config) { c.Name = "away" })
	c, err := NewClusters(here, away)
	if err != nil {
		t.Fatal(err)
	}
	homes := func() map[string]int {
		n := map[string]int{}
		for i := range 50 {
			b, _, err := c.Plan(t.Context(), fmt.Sprintf("ten_%d", i), 1)
			if err != nil {
				t.Fatal(err)
			}
			n[b.Place[:4]]++
		}
		return n
	}
	everybody := func(*Provider) bool { return true }
	password := away.adminConfig.Password
	away.adminConfig.Password = "wrong"
	c.ask(t.Context(), everybody)
	if n := homes(); n["away"] != 0 {
		t.Errorf("planned %v", n)
	}
	if all, open := c.Parts(); !slices.Equal(all, []string{"here/", "away/"}) || !slices.Equal(open, all[:1]) {
		t.Errorf("parts %v, open %v", all, open)
	}
	left, leave := context.WithCancel(t.Context())
	leave()
	here.shedIdle()
	if _, err := here.connect(left); err == nil {
		t.Error("connected for a caller that had left")
	}
	if n := homes(); n["here"] != 50 {
		t.Errorf("a caller that left counts against the cluster: planned %v", n)
	}
	away.adminConfig.Password = password
	c.ask(t.Context(), everybody)
	if n := homes(); n["away"] == 0 || n["here"] == 0 {
		t.Errorf("after it is back: planned %v", n)
	}
}

// When a cluster moves, customers are given its new address with the passwords they have.
func TestTheAddressIsThatOfToday(t *testing.T) {
	r := newRig(t)
	x := r.plan(r.provider(), "ten_1")
	moved, err := NewClusters(r.provider(func(c *Config) { c.CustomerHost = "db.example.com:6543" }))
	if err != nil {
		t.Fatal(err)
	}
	got, err := moved.Addressed(x.Backend, x.Credentials)
	if err != nil {
		t.Fatal(err)
	}
	was, err := url.Parse(x.URL)
	if err != nil {
		t.Fatal(err)
	}
	is, err := url.Parse(got.URL)
	if err != nil {
		t.Fatal(err)
	}
	if is.Host != "db.example.com:6543" || is.User.String() != was.User.String() || is.Path != was.Path || got.Env["PGHOST"] != "db.example.com" || got.Env["PGPORT"] != "6543" ||
		got.Env["PGPASSWORD"] != x.Env["PGPASSWORD"] || got.Env["KITSHUB_TENANT"] != "ten_1" {
		t.Errorf("%s became %s, %v", was, is, got.Env)
	}
	other := r.plan(r.provider(), "ten_2")
	if _, err := moved.Addressed(x.Backend, other.Credentials); err == nil {
		t.Error("another tenant's credentials were taken")
	}
	x.Place = "elsewhere/" + x.Place
	_, err = moved.Addressed(x.Backend, x.Credentials)
	r.wantFault("another cluster's", err, hub.ClassAuth, "NO_CLUSTER")
}
