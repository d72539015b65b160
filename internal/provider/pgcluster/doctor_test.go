package pgcluster

import (
	"net/url"
	"strings"
	"testing"

	"github.com/kitshub/kitshub/internal/provider/providertest"
)

// Behind a pooler that shares sessions the hub's locks hold nobody back, however many sessions it has; doctor says so before anything is made.
func TestDoctorTellsOfSharedSessions(t *testing.T) {
	t.Parallel() // it waits for the server most of the time
	r := newRig(t)
	tells := func(p *Provider) bool {
		t.Helper()
		found, err := p.Doctor(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if f.Problem && strings.Contains(f.What, "transaction mode") {
				return true
			}
		}
		return false
	}
	for n := 1; n <= 4; n++ {
		u, err := url.Parse(r.admin)
		if err != nil {
			t.Fatal(err)
		}
		u.Host = providertest.Pooler(t, r.admin, n)
		if !tells(r.provider(func(c *Config) { c.AdminURL = u.String() })) {
			t.Errorf("%d shared sessions are not named", n)
		}
	}
	if tells(r.provider()) {
		t.Error("the server's own sessions are called shared")
	}
}
