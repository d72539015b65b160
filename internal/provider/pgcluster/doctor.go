package pgcluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/provider"
)

// Finding is one thing that Doctor found.
type Finding struct {
	Problem bool   // the provider cannot work; else it can, and this is a risk
	What    string // one sentence
	SQL     string // what mends it, to be run by an administrator of the cluster; empty where no SQL does
}

// Doctor looks whether the cluster and the hub's own role are as the provider needs them, and says what is missing with the SQL that grants it.
// No finding means that all is well. It changes nothing.
func (p *Provider) Doctor(ctx context.Context) ([]Finding, error) {
	return p.doctor(ctx, p.doctorSessions, p.doctorRights, p.doctorRoles, p.doctorRoom, p.doctorDoors)
}

func (p *Provider) doctor(ctx context.Context, looks ...func(context.Context, *admin) ([]Finding, error)) (found []Finding, err error) {
	ctx = For(ctx, Look)
	err = p.with(ctx, "examining cluster "+p.name, func(a *admin) error {
		for _, look := range looks {
			some, err := look(ctx, a)
			if err != nil {
				return err
			}
			found = append(found, some...)
		}
		return nil
	})
	return found, err
}

// withMissingRights adds to an error for want of a right which one it is, with the SQL that grants it.
func (p *Provider) withMissingRights(ctx context.Context, err error) error {
	var step *hub.StepError
	if !errors.As(err, &step) || step.Code != codeNoRight {
		return err
	}
	found, looking := p.doctor(ctx, p.doctorRights, p.doctorRoles)
	if looking != nil {
		return err // the first error says enough
	}
	explained := *step
	for _, f := range found {
		if f.Problem && f.SQL != "" {
			explained.Err = fmt.Errorf("%w. %s An administrator of the cluster runs: %s", explained.Err, f.What, f.SQL)
		}
	}
	return &explained
}

// doctorSessions finds a pooler in transaction mode: the hub's locks belong to its sessions, which there are shared with others. Two connections
// are asked for their session, and the second one again: it is the first one's, or, where sessions are handed out in turn, another one than before.
func (p *Provider) doctorSessions(ctx context.Context, a *admin) (found []Finding, err error) {
	err = p.with(For(ctx, Provision), "opening a second connection", func(b *admin) error { // not Look: of a small budget its share is the one we hold
		var pids [3]int
		for i, asked := range []*admin{a, b, b} {
			if err := asked.row(ctx, `SELECT pg_backend_pid()`, nil, &pids[i]); err != nil {
				return err
			}
		}
		if pids[0] == pids[1] || pids[1] != pids[2] {
			found = append(found, Finding{true, "The address leads to a pooler in transaction mode, whose clients share sessions, so the hub's locks would hold nobody back. " +
				"Give the address of its session mode or of the server itself.", ""})
		}
		return nil
	})
	return found, err
}

func (p *Provider) doctorRights(ctx context.Context, a *admin) (found []Finding, err error) {
	var me, encoding string
	var super, createDB, createRole bool
	err = a.row(ctx, `SELECT current_user, rolsuper, rolcreatedb, rolcreaterole,
			(SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'template0')
		FROM pg_roles WHERE rolname = current_user`, nil, &me, &super, &createDB, &createRole, &encoding)
	if err != nil {
		return nil, err
	}
	role := pgx.Identifier{me}.Sanitize()
	if !super && !createDB {
		found = append(found, Finding{true, fmt.Sprintf("The role %s may not make databases.", me), "ALTER ROLE " + role + " CREATEDB;"})
	}
	if !super && !createRole {
		found = append(found, Finding{true, fmt.Sprintf("The role %s may not make roles.", me), "ALTER ROLE " + role + " CREATEROLE;"})
	}
	if super {
		found = append(found, Finding{
			false, fmt.Sprintf("The role %s is a superuser, which is more than the hub needs.", me),
			"CREATE ROLE kitshub_admin LOGIN CREATEDB CREATEROLE; -- then give it a password and put it into the cluster's address",
		})
	}
	if encoding != "UTF8" {
		found = append(found, Finding{false, fmt.Sprintf("The cluster's encoding is %s; the tenants' databases are UTF8 and need a locale that fits.", encoding), ""})
	}
	return found, nil
}

// doctorRoles looks at what a former admin role may have left: from Postgres 16 on only who made a role may give it.
func (p *Provider) doctorRoles(ctx context.Context, a *admin) (found []Finding, err error) {
	mark := Marker{Kind: MarkCluster}.text(p.names.tag)
	rows, err := a.conn.Query(ctx, `SELECT rolname, coalesce(shobj_description(oid, 'pg_authid'), ''), current_user,
			(rolname <> $1::name OR pg_has_role(current_user, oid, 'USAGE'))
			AND (current_setting('server_version_num')::int < 160000 OR pg_has_role(current_user, oid, 'MEMBER WITH ADMIN OPTION'))
		FROM pg_roles WHERE rolname IN ($1::name, $2::name)`, p.names.owner(), p.names.app())
	if err != nil {
		return nil, err
	}
	var name, says, me string
	var member bool
	_, err = pgx.ForEachRow(rows, []any{&name, &says, &me, &member}, func() error {
		q, to := pgx.Identifier{name}.Sanitize(), pgx.Identifier{me}.Sanitize()
		switch {
		case says != mark:
			found = append(found, Finding{true, fmt.Sprintf("The role %s is there but not made by the hub.", name), fmt.Sprintf("ALTER ROLE %s RENAME TO %s;", q, pgx.Identifier{name + "_former"}.Sanitize())})
		case !member:
			found = append(found, Finding{
				true, fmt.Sprintf("The role %s, which all tenants' databases share, is not granted to %s.", name, me),
				fmt.Sprintf("GRANT %s TO %s WITH ADMIN OPTION;", q, to),
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	rows, err = a.conn.Query(ctx, `SELECT rolname FROM pg_roles WHERE rolname = ANY($1::text[]) AND (rolsuper OR rolbypassrls) ORDER BY 1`, provider.CompatRoles)
	if err != nil {
		return nil, err
	}
	_, err = pgx.ForEachRow(rows, []any{&name}, func() error {
		found = append(found, Finding{false, fmt.Sprintf("The role %s passes row-level security; customers' programs are not given it here.", name), ""})
		return nil
	})
	return found, err
}

// doctorRoom holds the budget against what the server has left for roles that are no superusers.
func (p *Provider) doctorRoom(ctx context.Context, a *admin) (found []Finding, err error) {
	var most, limit int
	var me string
	err = a.row(ctx, `SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int, rolconnlimit, current_user
		FROM pg_roles WHERE rolname = current_user`, nil, &most, &limit, &me)
	if err != nil {
		return nil, err
	}
	if p.budget.max > most {
		found = append(found, Finding{
			false, fmt.Sprintf("The hub's budget is %d connections; the server takes %d in all.", p.budget.max, most),
			fmt.Sprintf("ALTER SYSTEM SET max_connections = %d; -- takes effect when the server is started again", 2*p.budget.max),
		})
	}
	if limit >= 0 && limit < p.budget.max {
		found = append(found, Finding{
			false, fmt.Sprintf("The role %s may have %d connections, fewer than the hub's budget of %d.", me, limit, p.budget.max),
			fmt.Sprintf("ALTER ROLE %s CONNECTION LIMIT -1;", pgx.Identifier{me}.Sanitize()),
		})
	}
	return found, nil
}

// doctorDoors finds databases that every role may connect to, so every tenant's as well: they could read the catalogs there, and write where
// others are careless; in the one where the hub's locks live they could take those. The hub's own database may be one, too.
func (p *Provider) doctorDoors(ctx context.Context, a *admin) (found []Finding, err error) {
	rows, err := a.conn.Query(ctx, `SELECT datname, datname = current_database(), current_user FROM pg_database d WHERE datallowconn
		AND EXISTS (SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) x WHERE x.grantee = 0 AND x.privilege_type = 'CONNECT') ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	var name, me string
	var here bool
	_, err = pgx.ForEachRow(rows, []any{&name, &here, &me}, func() error {
		db := pgx.Identifier{name}.Sanitize()
		f := Finding{
			false, fmt.Sprintf("Every role, so every tenant's too, may connect to the database %s.", name),
			fmt.Sprintf("REVOKE CONNECT ON DATABASE %s FROM PUBLIC; -- first grant it to the roles that need it", db),
		}
		if here { // the hub may have its own right to connect from PUBLIC alone
			f.What = fmt.Sprintf("Every role, so every tenant's too, may connect to the database %s and take the hub's locks there, which would stop its work on the cluster.", name)
			f.SQL = fmt.Sprintf("GRANT CONNECT ON DATABASE %s TO %s; %s", db, pgx.Identifier{me}.Sanitize(), f.SQL)
		}
		found = append(found, f)
		return nil
	})
	return found, err
}
