package pgcluster

import (
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/provider/providertest"
	"github.com/kitshub/kitshub/internal/testkit/pgserver"
)

// Each bad day of a cluster ends in a failure with a class and a code that say what to do, and nothing of the tenant is left where it was made
// halfway; when the trouble is over the same call goes through.
func TestBadDaysOfACluster(t *testing.T) {
	t.Parallel() // it waits for the server most of the time
	r := newRig(t)
	at := func(change func(*url.URL)) *Provider {
		u, err := url.Parse(r.admin)
		if err != nil {
			t.Fatal(err)
		}
		change(u)
		return r.provider(func(c *Config) { c.AdminURL = u.String() })
	}
	nobody := providertest.Nobody(t)
	good := r.provider()
	x := r.plan(good, "ten_1")
	for what, c := range map[string]struct {
		p     *Provider
		class hub.Class
		code  string
	}{
		"a wrong password":  {at(func(u *url.URL) { u.User = url.UserPassword(r.role, "wrong") }), hub.ClassAuth, codePassword},
		"nobody listens":    {at(func(u *url.URL) { u.Host = nobody }), hub.ClassNetwork, "ECONNREFUSED"},
		"no TLS":            {at(func(u *url.URL) { u.RawQuery = "sslmode=require" }), hub.ClassAuth, "TLS"},
		"no such database":  {at(func(u *url.URL) { u.Path = "/kitshub_nowhere" }), hub.ClassData, codeNoDatabase},
		"version too old":   {at(func(u *url.URL) { u.Host = saying(t, "14.19 (Debian 14.19-1)") }), hub.ClassData, "VERSION"},
		"no version at all": {at(func(u *url.URL) { u.Host = saying(t, "eleven") }), hub.ClassData, "VERSION"},
	} {
		err := c.p.Create(t.Context(), x.Backend, x.Credentials, things)
		r.wantFault(what, err, c.class, c.code)
		if err != nil && strings.Contains(err.Error(), "wrong") {
			t.Errorf("%s: it shows the password: %v", what, err)
		}
		_, err = c.p.Doctor(t.Context())
		r.wantFault(what+": doctor", err, c.class, c.code)
	}
	r.su(`ALTER ROLE ` + r.role + ` CONNECTION LIMIT 0`)
	r.wantFault("no connection left", good.Create(t.Context(), x.Backend, x.Credentials, things), hub.ClassQuota, "53300")
	r.su(`ALTER ROLE ` + r.role + ` CONNECTION LIMIT -1`)
	if err := good.Create(t.Context(), x.Backend, x.Credentials, things); err != nil {
		t.Fatal(err)
	}
	r.wantThings(good, x, 1)
}

// saying is a server that lets everybody in and says which version it is.
func saying(t *testing.T, version string) string {
	t.Helper()
	return providertest.Listen(t, func(c net.Conn) { serveVersion(c, version) })
}

func serveVersion(c net.Conn, version string) {
	b := pgproto3.NewBackend(c, c)
	for {
		m, err := b.ReceiveStartupMessage()
		if err != nil {
			return
		}
		if _, is := m.(*pgproto3.SSLRequest); !is {
			break
		}
		if _, err := c.Write([]byte("N")); err != nil {
			return
		}
	}
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: version})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if b.Flush() == nil {
		_, _ = b.Receive() // its farewell
	}
}

// A server that comes back without what the hub had made on it, as one restored from an older backup or set up anew, is furnished again.
func TestAClusterThatComesBackEmpty(t *testing.T) {
	t.Parallel() // it waits for the server most of the time
	s, err := pgserver.Start(t.Context(), pgserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	r := rigOn(t, s.URL)
	p := r.provider()
	r.create(p, "ten_1", things)
	p.shedIdle() // as its end does
	r.clean()
	r.su(`CREATE ROLE ` + r.role + ` LOGIN CREATEDB CREATEROLE PASSWORD 'secret'`)
	x := r.create(p, "ten_2", things)
	r.wantThings(p, x, 1)
}
