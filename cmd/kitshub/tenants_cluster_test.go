//go:build unix

package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/inspect"
	"github.com/kitshub/kitshub/internal/testkit"
	"github.com/kitshub/kitshub/internal/testkit/pgserver"
)

// desk is a hub process with somebody who signs customers up and an operator, as scripts would have it, for what scripts cannot do.
type desk struct {
	*testing.T
	opts     drive.Options
	hub      *drive.Hub
	public   *drive.Client
	operator *drive.Client
	n        int
}

func newDesk(t *testing.T, env ...string) *desk {
	t.Helper()
	binary, err := exec.LookPath("kitshub")
	if err != nil {
		t.Fatal(err)
	}
	listen, err := drive.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{T: t, opts: drive.Options{Binary: binary, DataDir: t.TempDir(), Listen: listen, Env: append(env, "TENANT_POOL_SIZE=0")}}
	d.start()
	t.Cleanup(func() { d.stop() })
	who := drive.Operator{Email: "grace@example.com", Password: "correct horse battery staple!"}
	if err := d.opts.CreateOperator(t.Context(), who); err != nil {
		t.Fatal(err)
	}
	d.public, d.operator = drive.NewClient(d.hub.URL, 4), drive.NewClient(d.hub.URL, 4)
	if err := d.operator.Login(t.Context(), who.Email, who.Password); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) start() {
	d.Helper()
	var err error
	if d.hub, err = drive.Start(d.Context(), d.opts); err != nil {
		d.Fatal(err)
	}
}

func (d *desk) stop() {
	d.Helper()
	if d.hub == nil {
		return
	}
	if err := d.hub.Stop(); err != nil {
		d.Error(err)
	}
	d.hub = nil
}

func (d *desk) signUp(plan string) *drive.SignedUp {
	d.Helper()
	d.n++
	up, err := d.public.SignUp(d.Context(), drive.SignUp{Email: fmt.Sprintf("c%d@example.com", d.n), CompanyName: "A", ContactName: "B", Plan: plan}, "")
	if err != nil {
		d.Fatal(err)
	}
	return up
}

// await follows the customer's stream until the request stands in the state, and fails the test if it ends in another.
func (d *desk) await(up *drive.SignedUp, state string) {
	d.Helper()
	ctx, cancel := context.WithTimeout(d.Context(), scriptPatience)
	defer cancel()
	s, err := d.public.Await(ctx, up.StatusToken, func(s *drive.Status) bool { return s.Status == state || s.Status == "completed" })
	if err != nil || s.Status != state {
		d.Fatalf("%s is %+v, %v instead of %s; the hub's last words:\n%s", up.Request.ID, s, err, state, d.hub.Log())
	}
}

// failure is what an operator reads of a failed request.
func (d *desk) failure(up *drive.SignedUp) drive.Failure {
	d.Helper()
	var r drive.Request
	if err := d.operator.Call(d.Context(), http.MethodGet, "/api/v1/requests/"+up.Request.ID, nil, &r); err != nil {
		d.Fatal(err)
	}
	if r.Failure == nil {
		d.Fatalf("%s says no reason: %+v", up.Request.ID, r)
	}
	return *r.Failure
}

func (d *desk) retry(up *drive.SignedUp) {
	d.Helper()
	if _, err := d.operator.Move(d.Context(), up.Request.ID, "retry"); err != nil {
		d.Fatal(err)
	}
}

// ready asks /readyz until it gives the answer for a part.
func (d *desk) ready(part, status string) {
	d.Helper()
	deadline := time.Now().Add(scriptPatience)
	for {
		var got struct {
			Status string
			Checks map[string]struct{ Status string }
		}
		a, err := d.public.Do(d.Context(), http.MethodGet, "/readyz", nil)
		if err != nil {
			d.Fatal(err)
		}
		if err := json.Unmarshal(a.Body, &got); err != nil {
			d.Fatal(err)
		}
		if got.Checks[part].Status == status {
			if a.Status != http.StatusOK || got.Status != status {
				d.Errorf("/readyz is %d %s: %s", a.Status, got.Status, a.Body)
			}
			return
		}
		if time.Now().After(deadline) {
			d.Fatalf("%s is not %s: %s", part, status, a.Body)
		}
	}
}

// open gives the customer's connection details and shows that they work.
func (d *desk) open(up *drive.SignedUp) *drive.Connection {
	d.Helper()
	conn, err := d.public.Reveal(d.Context(), up.StatusToken)
	if err != nil {
		d.Fatal(err)
	}
	place, err := conn.Place()
	if err != nil {
		d.Fatal(err)
	}
	db, err := inspect.Open(place)
	if err != nil {
		d.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var n int
	if err := db.QueryRowContext(d.Context(), `SELECT count(*) FROM people`).Scan(&n); err != nil {
		d.Error(err)
	}
	return conn
}

// cluster is a throwaway server of the test's own, since it goes away in the middle.
type cluster struct {
	*testing.T
	server *pgserver.Server
	home   *pgserver.Home
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	s, err := pgserver.Start(t.Context(), pgserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	c := &cluster{T: t, server: s}
	if c.home, err = pgserver.CreateHome(t.Context(), s.URL); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cluster) halt(how pgserver.Signal) {
	c.Helper()
	if err := c.server.Halt(how); err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) resume() {
	c.Helper()
	if err := c.server.Resume(c.Context()); err != nil {
		c.Fatal(err)
	}
}

// su runs statements as the superuser.
func (c *cluster) su(statements ...string) {
	c.Helper()
	db, err := sql.Open("pgx", c.server.URL)
	if err != nil {
		c.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, q := range statements {
		if _, err := db.ExecContext(c.Context(), q); err != nil {
			c.Fatalf("%s: %v", q, err)
		}
	}
}

// with gives the cluster's address, changed.
func (c *cluster) with(change func(*url.URL)) string {
	c.Helper()
	u, err := url.Parse(c.home.URL)
	if err != nil {
		c.Fatal(err)
	}
	change(u)
	return "TENANT_DATABASE_URL=" + u.String()
}

// A cluster that is not there when the hub starts, and one that crashes in the middle: the hub serves, takes sign-ups and says what is wrong;
// when the cluster is back everybody is served, without anybody's help.
func TestTheTenantsClusterGoesAndComesBack(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.halt(pgserver.Fast)
	d := newDesk(t, "TENANT_DATABASE_URL="+c.home.URL)
	d.ready("tenants:main", "degraded")
	early := d.signUp("starter")
	d.await(early, "failed")
	if f := d.failure(early); f.Class != "network" || f.Step != "create" || f.Code != "ECONNREFUSED" {
		t.Errorf("while the cluster is away: %+v", f)
	}
	c.resume()
	d.await(early, "completed")
	d.ready("tenants:main", "ok")
	d.open(early)

	for _, how := range []pgserver.Signal{pgserver.Immediate, pgserver.Crash} {
		before := d.signUp("starter")
		c.halt(how) // wherever it is just now
		during := d.signUp("basic")
		d.ready("tenants:main", "degraded")
		c.resume()
		d.await(before, "completed")
		d.await(during, "completed")
		d.open(before)
		d.open(during)
	}
	d.ready("tenants:main", "ok")
}

// What only a person can mend is told with what to do, is not tried again by the hub, and goes through once it is mended.
func TestTheTenantsClusterIsSetUpWrong(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	right := "TENANT_DATABASE_URL=" + c.home.URL
	for _, tt := range []struct {
		name, address string
		code, says    string
	}{
		{"wrong password", c.with(func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "wrong") }), "28P01", "TENANT_DATABASE_URL"},
		{"encryption wanted and not there", c.with(func(u *url.URL) { u.RawQuery = "sslmode=require" }), "TLS", "sslmode"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t, tt.address)
			d.ready("tenants:main", "degraded")
			up := d.signUp("starter")
			d.await(up, "failed")
			if f := d.failure(up); f.Class != "auth" || f.Code != tt.code || !strings.Contains(f.Action, tt.says) || strings.Contains(f.Cause, "wrong") {
				t.Errorf("%+v", f)
			}
			d.stop()
			d.opts.Env = append(d.opts.Env, right)
			d.start()
			d.retry(up)
			d.await(up, "completed")
			d.open(up)
		})
	}
	t.Run("rights missing", func(t *testing.T) {
		c.T = t
		role := `"` + c.home.Name + `"`
		c.su(`ALTER ROLE ` + role + ` NOCREATEDB NOCREATEROLE`)
		d := newDesk(t, right)
		d.ready("tenants:main", "ok") // it answers
		up := d.signUp("starter")
		for _, grant := range []string{`ALTER ROLE ` + role + ` CREATEROLE;`, `ALTER ROLE ` + role + ` CREATEDB;`} {
			d.await(up, "failed")
			if f := d.failure(up); f.Class != "auth" || f.Code != "42501" || !strings.Contains(f.Cause, grant) {
				t.Errorf("no %q in %+v", grant, f)
			}
			c.su(grant)
			d.retry(up)
		}
		d.await(up, "completed")
		d.open(up)
	})
	t.Run("a session in the template", func(t *testing.T) {
		c.T = t
		d := newDesk(t, right)
		first := d.signUp("starter")
		d.await(first, "completed")
		conn := d.open(first)
		super, err := sql.Open("pgx", c.server.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = super.Close() }()
		prefix, _, _ := strings.Cut(conn.Env["PGDATABASE"], "_")
		var template string
		if err := super.QueryRowContext(t.Context(), `SELECT datname FROM pg_database WHERE starts_with(datname, $1) AND datname NOT LIKE '%empty%'`, prefix+"_t_").Scan(&template); err != nil {
			t.Fatal(err)
		}
		c.su(`ALTER DATABASE "` + template + `" ALLOW_CONNECTIONS true`)
		u, err := url.Parse(c.server.URL)
		if err != nil {
			t.Fatal(err)
		}
		u.Path = "/" + template
		guest, err := sql.Open("pgx", u.String())
		if err != nil {
			t.Fatal(err)
		}
		if err := guest.PingContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		up := d.signUp("starter")
		d.await(up, "failed")
		if f := d.failure(up); f.Class != "network" || f.Code != "55006" || !strings.Contains(f.Cause, template) || !strings.Contains(f.Action, "pg_stat_activity") {
			t.Errorf("%+v", f)
		}
		if err := guest.Close(); err != nil {
			t.Fatal(err)
		}
		d.await(up, "completed") // by itself
		d.open(up)
	})
}

// Two hubs with data directories of their own on one database share the work, and a customer may ask either.
func TestTwoHubsShareTheWorkOnPostgres(t *testing.T) {
	t.Parallel()
	home, err := pgserver.CreateHome(t.Context(), testkit.ServerURL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := home.Drop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	key := "ENCRYPTION_KEY=hex:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	a := newDesk(t, "DATABASE_URL="+home.URL, key, "WORKERS=1")
	b := &desk{T: t, opts: a.opts}
	b.opts.DataDir = t.TempDir()
	if b.opts.Listen, err = drive.FreeAddr(); err != nil {
		t.Fatal(err)
	}
	b.start()
	t.Cleanup(func() { b.stop() })
	b.public = drive.NewClient(b.hub.URL, 4)
	hubs := []*desk{a, b}

	const customers = 10
	var ups []*drive.SignedUp
	for range customers {
		ups = append(ups, a.signUp("starter"))
	}
	places := make([]string, customers)
	var all sync.WaitGroup
	for i, up := range ups {
		all.Go(func() {
			d := hubs[i%2]
			ctx, cancel := context.WithTimeout(t.Context(), scriptPatience)
			defer cancel()
			if s, err := d.public.Await(ctx, up.StatusToken, (*drive.Status).Ended); err != nil || s.Status != "completed" {
				t.Errorf("%s is %+v, %v", up.Request.ID, s, err)
				return
			}
			conn, err := hubs[(i+1)%2].public.Reveal(ctx, up.StatusToken)
			if err != nil {
				t.Error(err)
				return
			}
			places[i] = conn.URL
		})
	}
	all.Wait()
	for i, place := range places {
		before, err := url.Parse(places[(i+1)%customers])
		if err != nil {
			t.Fatal(err)
		}
		if err := inspect.Refused(t.Context(), place, strings.TrimPrefix(before.Path, "/")); err != nil {
			t.Error(err)
		}
		if err := inspect.Refused(t.Context(), place, home.Name); err != nil {
			t.Errorf("the hub's own database: %v", err)
		}
	}
	db, err := sql.Open("pgx", home.Super)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var workers, prefixes int
	err = db.QueryRowContext(t.Context(), `SELECT (SELECT count(DISTINCT w) FROM river_job, unnest(attempted_by) w WHERE kind LIKE '%provision%'),
		(SELECT count(DISTINCT split_part(place, '_', 1)) FROM tenants)`).Scan(&workers, &prefixes)
	if err != nil || workers != 2 || prefixes != 1 {
		t.Errorf("%d hubs did the work, under %d names of the installation: %v", workers, prefixes, err)
	}
}
