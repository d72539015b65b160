package pgcluster

import (
	"context"
	"fmt"
	"strings"

	"github.com/kitshub/kitshub/internal/provider"
)

// ownerConns is how many sessions a tenant's owner role may have: the hub's own, a few at a time.
const ownerConns = 10

// ensureCluster makes the roles that all databases share, once for each process and, over processes, once for each cluster.
func (p *Provider) ensureCluster(ctx context.Context) error {
	if p.ready.Load() {
		return nil
	}
	select {
	case p.readying <- struct{}{}:
		defer func() { <-p.readying }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if p.ready.Load() {
		return nil
	}
	err := p.with(ctx, "making the roles that all databases share", func(a *admin) error {
		return a.locked(ctx, p.names.prefix+"cluster", func() error { return a.makeShared(ctx) })
	})
	p.ready.Store(err == nil)
	return err
}

func (a *admin) makeShared(ctx context.Context) error {
	for _, role := range []string{a.p.names.owner(), a.p.names.app()} {
		if err := provider.Again(ctx, func() error { return a.makeSharedRole(ctx, role) }); err != nil {
			return err
		}
	}
	return a.makeCompat(ctx)
}

func (a *admin) makeSharedRole(ctx context.Context, role string) error {
	n := a.p.names
	mark := Marker{Kind: MarkCluster}.text(n.tag)
	var exists, member bool
	var says string
	err := a.row(ctx, `SELECT r.oid IS NOT NULL, coalesce(shobj_description(r.oid, 'pg_authid'), ''), coalesce(pg_has_role(current_user, r.oid, 'USAGE'), false)
		FROM (SELECT 1) one LEFT JOIN pg_roles r ON r.rolname = $1::name`, []any{role}, &exists, &says, &member)
	if err != nil {
		return err
	}
	if exists && says != mark {
		return wrongRole(role, says)
	}
	var sql []string
	if !exists {
		sql = append(sql, fmt.Sprintf(`CREATE ROLE %s NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS`, quote(role)),
			fmt.Sprintf(`COMMENT ON ROLE %s IS %s`, quote(role), literal(mark)))
	}
	if !member && role == n.owner() { // to give it what we own in a new database
		sql = append(sql, fmt.Sprintf(`GRANT %s TO CURRENT_USER`, quote(role)))
	}
	if len(sql) == 0 {
		return nil
	}
	return a.exec(ctx, strings.Join(sql, ";"))
}

// makeCompat makes Supabase's roles where they are missing, and lets customers' logins become them, by way of the group that all are in. They are
// the whole cluster's, so another installation may do the same now. Where somebody drops one, the next start of a hub makes it again.
func (a *admin) makeCompat(ctx context.Context) error {
	for _, role := range provider.CompatRoles {
		var exists bool
		if err := a.row(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1::name)`, []any{role}, &exists); err != nil {
			return err
		}
		if exists {
			continue
		}
		err := provider.Again(ctx, func() error { return a.exec(ctx, provider.CompatRoleSQL(quote(role))) })
		if err != nil && codeOf(err) != codeDuplicateObject { // made meanwhile
			return err
		}
	}
	return a.again(ctx, provider.CompatGrantSQL(literal(a.p.names.app())))
}

// loginsSQL is all that a database needs beside what is in it: its roles, their rights and its marker. One transaction.
func (p *Provider) loginsSQL(name string, s state, v verifiers, m Marker) string {
	return p.rolesSQL(name, s, v) + ";" + p.openSQL(name, m)
}

// rolesSQL makes the two roles of a database, or gives those that are there the passwords of the credentials. All of it is one transaction, so
// a role of our name without our mark is not ours. Before it the caller has looked that what exists is.
func (p *Provider) rolesSQL(name string, s state, v verifiers) string {
	return strings.Join([]string{
		p.loginSQL(name+ownerSuffix, p.names.owner(), name, v.owner, ownerConns, s.owner.exists),
		p.loginSQL(name+runtimeSuffix, p.names.app(), name, v.runtime, p.tenantConns, s.runtime.exists),
		p.asOwnerSQL(name + ownerSuffix),
		// A forgotten transaction holds back the vacuum of the whole cluster. A program may set these otherwise for its session.
		fmt.Sprintf(`ALTER ROLE %s SET idle_in_transaction_session_timeout = '5min'`, quote(name+runtimeSuffix)),
		fmt.Sprintf(`ALTER ROLE %s SET statement_timeout = '5min'`, quote(name+runtimeSuffix)),
	}, ";")
}

// loginSQL makes a database's login with its mark, a member of a group, or gives one that is there its password; one that was shut out stays so.
func (p *Provider) loginSQL(role, group, database, secret string, conns int, exists bool) string {
	if exists {
		return fmt.Sprintf(`ALTER ROLE %s CONNECTION LIMIT %d PASSWORD %s; GRANT %s TO %[1]s`, quote(role), conns, literal(secret), quote(group))
	}
	return fmt.Sprintf(`CREATE ROLE %s LOGIN INHERIT CONNECTION LIMIT %d PASSWORD %s IN ROLE %s; COMMENT ON ROLE %[1]s IS %[5]s`,
		quote(role), conns, literal(secret), quote(group), literal(Marker{Kind: MarkRole, ID: database}.text(p.names.tag)))
}

// asOwnerSQL lets a login's sessions begin as the role that owns what is inside every database, so that what they make belongs to it, whichever
// program connects.
func (p *Provider) asOwnerSQL(role string) string {
	return fmt.Sprintf(`ALTER ROLE %s SET role = %s`, quote(role), literal(p.names.owner()))
}

// openSQL finishes a database: who may connect, whose it is, and last, that anybody may. One transaction.
func (p *Provider) openSQL(name string, m Marker) string {
	db := quote(name)
	return strings.Join([]string{
		`REVOKE ALL ON DATABASE ` + db + ` FROM PUBLIC`,
		fmt.Sprintf(`GRANT CONNECT ON DATABASE %s TO %s, %s`, db, quote(name+ownerSuffix), quote(name+runtimeSuffix)),
		fmt.Sprintf(`GRANT TEMPORARY ON DATABASE %s TO %s`, db, quote(name+runtimeSuffix)),
		fmt.Sprintf(`GRANT CREATE, TEMPORARY ON DATABASE %s TO %s`, db, quote(p.names.owner())),
		fmt.Sprintf(`COMMENT ON DATABASE %s IS %s`, db, literal(m.text(p.names.tag))),
		`ALTER DATABASE ` + db + ` ALLOW_CONNECTIONS true`,
	}, ";")
}
