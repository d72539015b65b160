//go:build unix

package orphans

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/proof/pgkit"
)

// aim is something that the hub has the server do: a pattern of the statement. One without a pattern is an instant drawn by chance.
type aim struct{ name, pattern string }

const random = "random instant"

var aims = []aim{
	{"create role", `^CREATE ROLE "kh`}, // and in the same transaction: mark, rights, opening
	{"create database", `^CREATE DATABASE "kh`},
	{random, ""},
	{"hand over", `^DO .do. DECLARE says`},
	{"seal", `UPDATE kitshub_identity`},
	{random, ""},
	{"begin to drop", `^ALTER DATABASE "kh[a-z2-7]*_[a-z2-7]{26}" ALLOW_CONNECTIONS false`},
	{"drop database", `^DROP DATABASE IF EXISTS "kh[a-z2-7]*_[a-z2-7]{26}"`},
	{"drop role", `^DROP ROLE`},
}

// clock is the server's.
func (r *run) clock(ctx context.Context) (now time.Time, err error) {
	err = r.world.Super.QueryRowContext(ctx, `SELECT clock_timestamp()`).Scan(&now)
	return now, err
}

// watchEvery is shorter than what is aimed at takes; the server shows a session's last statement also when that is over.
const watchEvery = time.Millisecond

// aim waits until the hub of this life does it, and says what was met: chance, if it does not come to it.
func (r *run) aim(ctx context.Context, a aim, since time.Time) (met string, err error) {
	end := time.Now().Add(aimWithin)
	for time.Now().Before(end) {
		var seen bool
		err := r.world.Super.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND query_start > $2 AND query ~ $1 AND query !~ 'pg_stat_activity')`, a.pattern, since).Scan(&seen)
		if err != nil {
			return "", fmt.Errorf("watch the server: %w", err)
		}
		if seen {
			return a.name, nil
		}
		if err := pgkit.Wait(ctx, watchEvery); err != nil {
			return "", err
		}
	}
	return random, nil
}

// The gaps.
const (
	gapRoles    = "roles without their database"
	gapUnopened = "a database that was not finished"
	gapDropping = "a database that was being dropped"
	gapMarked   = "a database that is a customer's on record and still the pool's by its mark"
	gapBuilding = "a template that was being built"
	gapUnmade   = "a row whose database was not begun"
)

var mustLeave = []string{gapRoles, gapUnopened, gapDropping, gapUnmade}

// lookForGaps waits until the server has ended what the dead hub told it and counts what is half done.
func (r *run) lookForGaps(ctx context.Context) error {
	for {
		var busy int
		err := r.world.Super.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity WHERE usename IN (SELECT rolname FROM pg_roles WHERE rolname = $1 OR rolname ~ '^kh')`, pgkit.HubRole).Scan(&busy)
		if err != nil {
			return err
		}
		if busy == 0 {
			break
		}
		if err := pgkit.Wait(ctx, lookEvery); err != nil {
			return err
		}
	}
	c, err := r.world.TakeCensus(ctx)
	if err != nil {
		return err
	}
	r.res.Looked++
	found := map[string]bool{}
	mark := map[string]string{}
	for name, d := range c.Databases {
		mark[name] = d.Comment
		switch {
		case strings.HasPrefix(d.Comment, "kitshub:dropping:"):
			found[gapDropping] = true
		case strings.HasPrefix(d.Comment, "kitshub:building:"):
			found[gapBuilding] = true
		case d.Comment == "" && !d.Open:
			found[gapUnopened] = true
		}
	}
	for role := range c.Roles {
		if name, ok := strings.CutSuffix(role, "_o"); ok && strings.HasPrefix(c.Roles[role], "kitshub:role:") {
			if _, there := mark[name]; !there {
				found[gapRoles] = true
			}
		}
	}
	for _, t := range c.Tenants {
		switch comment, there := mark[t.Database]; {
		case strings.HasPrefix(comment, "kitshub:pool:"):
			found[gapMarked] = true
		case !there && t.State == "provisioning":
			found[gapUnmade] = true
		}
	}
	for _, m := range c.Members {
		if _, there := mark[m.Database]; !there {
			found[gapUnmade] = true
		}
	}
	for what := range found {
		r.res.Gaps[what]++
	}
	return nil
}
