package hubtest

import (
	"context"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Exec changes the hub's database behind its back, as a restored backup or a slip of the hand would.
func Exec(r *Rig, sql string, args ...any) {
	r.T.Helper()
	if _, err := r.Real.WriterDB().ExecContext(context.WithoutCancel(r.T.Context()), sql, args...); err != nil {
		r.T.Fatal(err)
	}
}

// Exec gives the way to run statements on the cluster as the hub's own role.
func (c *Cluster) Exec(t testing.TB) func(sql string) {
	t.Helper()
	return func(sql string) {
		t.Helper()
		ctx := context.WithoutCancel(t.Context())
		conn, err := pgx.Connect(ctx, c.config.AdminURL)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(ctx) }()
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatalf("%v\n%s", err, sql)
		}
	}
}

// Away is the same cluster at an address where nobody listens.
func (c *Cluster) Away(t testing.TB) *Cluster {
	t.Helper()
	u, err := url.Parse(c.config.AdminURL)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = "127.0.0.1:1"
	gone := *c
	gone.config.AdminURL = u.String()
	return &gone
}
