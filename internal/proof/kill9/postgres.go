//go:build unix

package kill9

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/kitshub/kitshub/internal/proof/pgkit"
	"github.com/kitshub/kitshub/internal/testkit/pgserver"
)

// cluster is a Postgres that syncs as one in production does, with a role that may make databases and roles and no more, and a database for
// the hub. The tenants' databases come to lie beside it.
type cluster struct {
	server   string // address of the superuser
	hub      string // of the hub's database with the hub's role
	superHub string // of the same with the superuser
	super    *sql.DB
	own      *sql.DB // the hub's database with the superuser's eyes
	stop     func() error
}

// newCluster starts one; it must be closed also after an error, where there is one.
func newCluster(ctx context.Context, log io.Writer) (*cluster, error) {
	s, err := pgserver.Start(ctx, pgserver.Options{Durable: true, Logf: func(format string, args ...any) { fmt.Fprintf(log, format+"\n", args...) }})
	if err != nil {
		return nil, err
	}
	c := &cluster{server: s.URL, stop: s.Stop}
	home, err := pgserver.CreateHome(ctx, s.URL)
	if err != nil {
		return c, err
	}
	c.hub, c.superHub = home.URL, home.Super
	if c.super, err = sql.Open("pgx", s.URL); err != nil {
		return c, err
	}
	c.own, err = sql.Open("pgx", c.superHub)
	return c, err
}

func (c *cluster) close() error {
	var errs []error
	for _, db := range []*sql.DB{c.super, c.own} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(append(errs, c.stop())...)
}

// halfMade says what a killed hub left between two statements: what kinds of thing, by the marks they should bear.
func (c *cluster) halfMade(ctx context.Context) (map[string]bool, error) {
	rows, err := c.super.QueryContext(ctx, `SELECT 'roles without a database' FROM pg_roles r WHERE rolname ~ '^kh[a-z2-7]*_[a-z2-7]{26}_[or]$'
			AND NOT EXISTS (SELECT FROM pg_database WHERE datname = left(rolname, -2))
		UNION SELECT CASE WHEN says IS NULL THEN 'a database without a mark' ELSE 'a ' || split_part(says, ':', 2) || ' database' END
		FROM (SELECT shobj_description(oid, 'pg_database') AS says FROM pg_database WHERE datname ~ '^kh[a-z2-7]*_') d
		WHERE says IS NULL OR says LIKE 'kitshub:building:%' OR says LIKE 'kitshub:dropping:%'`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	kinds := map[string]bool{}
	for rows.Next() {
		var kind string
		if err := rows.Scan(&kind); err != nil {
			return nil, err
		}
		kinds[kind] = true
	}
	return kinds, rows.Err()
}

// Whatever the last kill left must be gone, or somebody's, a minute after the start that followed it; the customers who still wait then are served
// meanwhile. When the last of them is ready nothing may lie there that belongs to nobody.
const (
	goneWithin    = 60 * time.Second
	settledWithin = 10 * time.Second
	settleLook    = 250 * time.Millisecond
)

// leftovers are the faults that the last kill made, until the hub has put them right.
type leftovers struct {
	took time.Duration // from the start of the hub until the last was gone
	kept []string      // those that were still there when their time was over
	err  error         // why it could not be seen
}

// leftovers watches what the last kill left. A hub at work makes things of which a look sees half, so only that counts which each look since the
// start has seen.
func (v *victim) leftovers(ctx context.Context) leftovers {
	w := &pgkit.World{Super: v.cluster.super, Hub: v.cluster.own}
	var left map[string]bool
	for {
		census, err := w.TakeCensus(ctx)
		if err != nil {
			return leftovers{err: err}
		}
		still := map[string]bool{}
		for _, f := range census.Judge().All() {
			if left == nil || left[f] {
				still[f] = true
			}
		}
		left = still
		since := time.Since(v.hub.Started)
		if len(left) == 0 || since > goneWithin {
			return leftovers{took: since, kept: slices.Sorted(maps.Keys(left))}
		}
		if err := wait(ctx, settleLook); err != nil {
			return leftovers{err: err}
		}
	}
}

// settle waits until everything on the cluster belongs to somebody, and counts what does not in the end. All customers are through by now.
func (v *victim) settle(ctx context.Context, res *Result) error {
	w := &pgkit.World{Super: v.cluster.super, Hub: v.cluster.own}
	for begun := time.Now(); ; {
		census, err := w.TakeCensus(ctx)
		if err != nil {
			return err
		}
		faults := census.Judge()
		if faults.Count() == 0 {
			res.SettledMS = time.Since(v.hub.Started).Milliseconds()
			return nil
		}
		if time.Since(begun) > settledWithin {
			res.Orphans += len(faults.Orphans) + len(faults.Ghosts)
			res.Duplicated += len(faults.Doubles)
			for _, f := range faults.All() {
				res.Violate("%s after the last customer: %s", settledWithin, f)
			}
			return nil
		}
		if err := wait(ctx, settleLook); err != nil {
			return err
		}
	}
}
