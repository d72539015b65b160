package pgcluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/provider"
)

// Drop removes the database, with the sessions in it, and its roles; what is missing is no error, and what is not this tenant's is refused. A
// member of the pool at the tenant's place goes whether it was handed over or not. It says in the marker that it has begun, so that what a kill
// leaves is known for what it is, and either a new Drop or a new Create ends it.
func (p *Provider) Drop(ctx context.Context, b hub.Backend, _ hub.Credentials) error {
	name, own, err := p.database(b)
	if err != nil {
		return err
	}
	want := markerOf(b.TenantID, b.Generation)
	return p.dropping(ctx, func() error {
		return p.with(ctx, "dropping the database", func(a *admin) error {
			return a.locked(ctx, name, func() error {
				s, err := a.look(ctx, name)
				if err != nil {
					return err
				}
				begun := s.marker == (Marker{MarkDropping, want.ID, want.Generation})
				if s.exists && s.marker != want && !begun && !(own && s.abandoned()) && !p.onItsWay(b, own, name, s) {
					return p.foreign(b, s)
				}
				return a.drop(ctx, name, s, want)
			})
		})
	})
}

// onItsWay reports a member of the pool that was given to this tenant and has not been handed over: the hub's record leads from the tenant to
// it, it was never anybody else's, and its marker is its own.
func (p *Provider) onItsWay(b hub.Backend, own bool, name string, s state) bool {
	return !own && !isMember(b.TenantID) && s.known && s.marker.Kind == MarkPool && p.names.database(s.marker.ID, s.marker.Generation) == name
}

// ownsElsewhere says that a role cannot go yet, since in its time it has made something in other databases, or was given rights there.
type ownsElsewhere struct {
	role      string
	databases []string
}

func (e *ownsElsewhere) Error() string {
	return fmt.Sprintf("role %s owns something, or has a right, in %v", e.role, e.databases)
}

// dropping runs f and does what it finds to be in its way, then runs it again. That is done here, without a connection in hand, since who
// holds one and waits for a second could wait for ever.
func (p *Provider) dropping(ctx context.Context, f func() error) error {
	for try := 0; ; try++ {
		err := f()
		var owns *ownsElsewhere
		if !errors.As(err, &owns) {
			return err
		}
		if try == 3 {
			return &hub.StepError{Class: hub.ClassData, Code: "ROLE_IN_USE", Err: fmt.Errorf(
				"%w that the hub may not take away; an administrator runs DROP OWNED BY %s there, then retry", owns, quote(owns.role))}
		}
		for _, db := range owns.databases {
			if err := p.dropOwned(ctx, db, owns.role); err != nil {
				return fault(ctx, fmt.Sprintf("dropping what role %s owns in database %s", owns.role, db), err)
			}
		}
	}
}

// drop removes what the caller has found to be rightly removed. The lock of the name is held.
func (a *admin) drop(ctx context.Context, name string, s state, whose Marker) error {
	if s.exists && !s.spoiled {
		mark := Marker{MarkDropping, whose.ID, whose.Generation}.text(a.p.names.tag)
		if err := a.again(ctx, `ALTER DATABASE `+quote(name)+` ALLOW_CONNECTIONS false`, commentSQL(name, mark)); err != nil {
			return err
		}
	}
	return a.finishDrop(ctx, name, s)
}

// finishDrop ends a drop that has begun. WITH (FORCE) is not used: it fails on any session that is not ours, autovacuum's too, while the plain
// form waits for these; ours are ended before.
func (a *admin) finishDrop(ctx context.Context, name string, s state) error {
	roles := map[string]roleState{name + ownerSuffix: s.owner, name + runtimeSuffix: s.runtime}
	for role, r := range roles {
		if r.exists && r.mine { // to be allowed to end its sessions and drop what it owns
			if err := a.again(ctx, fmt.Sprintf(`GRANT %s TO CURRENT_USER`, quote(role))); err != nil {
				return err
			}
		}
	}
	if s.exists {
		if err := a.endSessions(ctx, name); err != nil {
			return err
		}
		if err := a.again(ctx, `DROP DATABASE IF EXISTS `+quote(name)); err != nil {
			if codeOf(err) == codeInUse {
				return &hub.StepError{Class: hub.ClassNetwork, Code: codeInUse, Err: fmt.Errorf(
					"somebody whose session the hub may not end is connected to %s; see who in pg_stat_activity: %w", name, err)}
			}
			return err
		}
	}
	for role, r := range roles {
		if r.exists && r.mine && rolesGoToo {
			if err := a.dropRole(ctx, role); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropRole drops a role. In a database that lets everybody in, a customer's program may have made something; that is named, not touched.
func (a *admin) dropRole(ctx context.Context, role string) error {
	err := a.again(ctx, `DROP ROLE IF EXISTS `+quote(role))
	if codeOf(err) != codeDependents {
		return err
	}
	rows, err := a.conn.Query(ctx, `SELECT DISTINCT coalesce(d.datname, current_database()) FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid
		WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = (SELECT oid FROM pg_roles WHERE rolname = $1::name)`, role)
	if err != nil {
		return err
	}
	databases, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	return &ownsElsewhere{role, databases}
}

// dropOwned drops what a role owns in a database, and its rights there. Nothing of others that hangs on it: then it fails and says so. Rights that
// a neighbour gave, as on a large object of his, only who may act for him takes back.
func (p *Provider) dropOwned(ctx context.Context, db, role string) error {
	purpose := purposeOf(ctx)
	if err := p.budget.take(ctx, purpose); err != nil {
		return err
	}
	conn, err := p.dial(ctx, db)
	if err != nil {
		p.budget.give(purpose)
		return err
	}
	defer func() {
		p.budget.leave(purpose)
		p.farewell(ctx, conn, p.budget.gone)
	}()
	sql := `DROP OWNED BY ` + quote(role)
	if p.names.isDatabase(db) {
		var givers string
		err := conn.QueryRow(ctx, `SELECT coalesce(string_agg(quote_ident(rolname), ', '), '') FROM pg_roles
			WHERE rolname IN ($1::name, $2::name) AND NOT pg_has_role(current_user, oid, 'USAGE')`, db+ownerSuffix, db+runtimeSuffix).Scan(&givers)
		if err != nil {
			return err
		}
		if givers != "" {
			sql = fmt.Sprintf(`GRANT %[1]s TO CURRENT_USER; %[2]s; REVOKE %[1]s FROM CURRENT_USER`, givers, sql)
		}
	}
	return provider.Again(ctx, func() error { return multi(ctx, conn.PgConn(), sql) })
}
