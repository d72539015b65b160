package hubtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/provider/pgcluster"
	"github.com/kitshub/kitshub/internal/testkit"
)

// Cluster is a part of a Postgres cluster that no other test sees: a role with CREATEDB and CREATEROLE and nothing more, and an installation.
type Cluster struct {
	config pgcluster.Config
}

// NewCluster makes one; what is left of it when the test ends is removed.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	super, installation := testkit.ServerURL(t), "p"+strings.ToLower(rand.Text()[:12])
	role := "kt_" + installation
	conn, err := pgx.Connect(t.Context(), super)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), `CREATE ROLE `+role+` LOGIN CREATEDB CREATEROLE PASSWORD 'secret'`); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(super)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, "secret")
	c := &Cluster{pgcluster.Config{Name: "main", AdminURL: u.String(), Installation: installation, MaxConns: 12}}
	t.Cleanup(func() { c.clean(t, super, role) })
	return c
}

// Address is where a hub of its own, with an installation of its own, may make tenants' databases.
func (c *Cluster) Address() string { return c.config.AdminURL }

// clean drops every database that the role owns, and the roles whose names begin as theirs do.
func (c *Cluster) clean(t testing.TB, super, role string) {
	ctx := context.Background() // the test's own has ended
	conn, err := pgx.Connect(ctx, super)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = conn.Close(ctx) }()
	names := func(query string, arg any) []string {
		rows, err := conn.Query(ctx, query, arg)
		if err != nil {
			t.Error(err)
			return nil
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Error(err)
		}
		return found
	}
	roles := []string{role}
	drop := func(sql, name string) {
		if _, err := conn.Exec(ctx, strings.ReplaceAll(sql, "?", pgx.Identifier{name}.Sanitize())); err != nil {
			t.Error(err)
		}
	}
	seen := map[string]bool{}
	for _, db := range names(`SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = $1`, role) {
		prefix, _, _ := strings.Cut(db, "_")
		if !seen[prefix] {
			roles = append(names(`SELECT rolname FROM pg_roles WHERE starts_with(rolname, $1)`, prefix+"_"), roles...)
		}
		seen[prefix] = true
		drop(`DROP DATABASE ? WITH (FORCE)`, db)
	}
	for _, r := range roles {
		drop(`DROP OWNED BY ?; DROP ROLE ?`, r)
	}
}

// Open gives one process's view of the cluster.
func (c *Cluster) Open(t testing.TB) *pgcluster.Provider {
	t.Helper()
	p, err := pgcluster.New(c.config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// Named is the same under another name.
func (c *Cluster) Named(name string) *Cluster {
	o := *c
	o.config.Name = name
	return &o
}

// Pooled is a hub with a pool of this size on a cluster of its own.
func (r *Rig) Pooled(c *Cluster, size int) *Rig { return r.PooledBy(c.Open(r.T), size) }

// PooledBy is a hub with a pool of this size at a provider.
func (r *Rig) PooledBy(p hub.Provider, size int) *Rig {
	return r.With(func(d *hub.Deps) {
		d.Providers, d.Default, d.PoolSize = map[string]hub.Provider{p.Name(): p}, p.Name(), size
	})
}

// Clusters gives the rig's provider, where it is Pooled.
func (r *Rig) Clusters() *pgcluster.Provider {
	r.T.Helper()
	p, ok := r.Deps.Providers[pgcluster.Name].(*pgcluster.Provider)
	if !ok {
		r.T.Fatal("this hub has no cluster")
	}
	return p
}

// Members gives the rows of the pool.
func (r *Rig) Members() []*hub.Member {
	r.T.Helper()
	return Get(r, func(ctx context.Context, tx hub.Tx) ([]*hub.Member, error) { return tx.ListMembers(ctx) })
}

// Databases gives what the cluster has under the hub's names: by place, whose its marker says it is; templates by their name.
func (r *Rig) Databases() map[string]string {
	r.T.Helper()
	p, ok := r.Deps.Providers[pgcluster.Name].(interface {
		List(ctx context.Context) ([]pgcluster.Item, error)
	})
	if !ok {
		r.T.Fatal("this hub has no cluster")
	}
	items, err := p.List(context.WithoutCancel(r.T.Context()))
	if err != nil {
		r.T.Fatal(err)
	}
	out := map[string]string{}
	for _, i := range items {
		switch {
		case i.Role:
		case i.Place != "":
			out[i.Place] = i.Marker.ID
		default:
			out[i.Name] = string(i.Marker.Kind)
		}
	}
	return out
}

// Credentials gives those that a tenant's customer is given.
func (r *Rig) Credentials(tenantID string) hub.Credentials {
	r.T.Helper()
	c, err := r.Reveal(r.T.Context(), hub.Actor{Kind: hub.ByPerson, ID: "opr_test", Name: "Test", Rank: hub.Admin}, tenantID)
	if err != nil {
		r.T.Fatal(err)
	}
	return c
}

// As opens a tenant's own database.
func (r *Rig) As(tenantID string, role hub.Role) *sql.DB {
	r.T.Helper()
	n := Get(r, func(ctx context.Context, tx hub.Tx) (*hub.Tenant, error) { return tx.Tenant(ctx, tenantID) })
	var c hub.Credentials
	if n.Backend.Provider != r.Files.Name() {
		c = r.Credentials(tenantID)
	}
	db, err := r.Deps.Providers[n.Backend.Provider].Open(r.T.Context(), n.Backend, c, role)
	if err != nil {
		r.T.Fatal(err)
	}
	return db
}
