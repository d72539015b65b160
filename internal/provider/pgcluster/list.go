package pgcluster

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/provider"
)

// Item is one database or role on the cluster that carries our marker or one of our names.
type Item struct {
	Cluster string
	Role    bool // a role; else a database
	Name    string
	Place   string // of a database that can be a backend, as in hub.Backend
	Marker  Marker // Kind MarkNone: no marker of this installation
	Open    bool   // of a database: it lets its tenant in; of a role: it may log in
	Mine    bool   // of a database: owned by the hub's own role

	Unmarked bool // it has no comment at all; with MarkNone and without this somebody else's
}

// Backend gives what the item belongs to, when its marker says so: a tenant's, a member's, or one that is being dropped.
func (i Item) Backend() (b hub.Backend, ok bool) {
	switch i.Marker.Kind {
	case MarkTenant, MarkPool, MarkDropping:
		return hub.Backend{TenantID: i.Marker.ID, Generation: i.Marker.Generation, Provider: Name, Place: i.Place}, i.Place != ""
	}
	return b, false
}

const listSQL = `
	SELECT false AS role, datname AS name, datallowconn AS open, pg_get_userbyid(datdba) = current_user AS mine, coalesce(shobj_description(oid, 'pg_database'), '') AS comment
	FROM pg_database WHERE starts_with(datname, $1)
	UNION ALL
	SELECT true, rolname, rolcanlogin, false, coalesce(shobj_description(oid, 'pg_authid'), '')
	FROM pg_roles WHERE starts_with(rolname, $1)
	ORDER BY 1, 2`

// List gives everything of this installation on the cluster: databases of tenants and of the pool, templates, what is half made or half dropped,
// and roles, also those whose database is gone. Held against the hub's tenants it shows orphans (here and not there), ghosts (there and not
// here) and mismatches (the marker says another than the hub).
func (p *Provider) List(ctx context.Context) (all []Item, err error) {
	ctx = For(ctx, Look)
	err = p.with(ctx, "listing what is on the cluster", func(a *admin) error { all, err = a.list(ctx); return err })
	return all, err
}

func (a *admin) list(ctx context.Context) ([]Item, error) {
	p := a.p
	rows, err := a.conn.Query(ctx, listSQL, p.names.prefix)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (i Item, err error) {
		i.Cluster = p.name
		var comment string
		err = row.Scan(&i.Role, &i.Name, &i.Open, &i.Mine, &comment)
		i.Unmarked = comment == ""
		if m, ok := p.names.parseMarker(comment); ok {
			i.Marker = m
		}
		if !i.Role && p.names.isDatabase(i.Name) {
			i.Place = p.place(i.Name)
		}
		return i, err
	})
}

func (a *admin) templates(ctx context.Context) (out []Item, err error) {
	all, err := a.list(ctx)
	for _, i := range all {
		if !i.Role && i.Marker.Kind == MarkTemplate {
			out = append(out, i)
		}
	}
	return out, err
}

// Remove drops an item of a list that belongs to nobody, if it still is as listed; gone already is no error. For one whose marker names a tenant
// or member use Drop, for a template DropUnusedTemplates: Remove takes only what was half made, roles without their database, and builds that
// died.
func (p *Provider) Remove(ctx context.Context, i Item) error {
	ctx = For(ctx, Look)
	name, isRole := i.Name, i.Role
	if isRole {
		_, building := p.names.buildingKey(i.Marker.ID)
		if i.Marker.Kind != MarkRole || !(building || p.names.isDatabase(i.Marker.ID)) {
			return notRemovable(i)
		}
		name = i.Marker.ID
	}
	return p.dropping(ctx, func() error { return p.remove(ctx, i, name, isRole) })
}

func (p *Provider) remove(ctx context.Context, i Item, name string, isRole bool) error {
	return p.with(ctx, "removing what belongs to nobody", func(a *admin) error {
		if key, ok := p.names.buildingKey(name); ok {
			tmp := strings.TrimSuffix(name, ownerSuffix) // where it is the login that is left
			return a.locked(ctx, p.names.template(key), func() error { return a.discardBuilding(ctx, tmp) })
		}
		return a.locked(ctx, name, func() error {
			s, err := a.look(ctx, name)
			if err != nil {
				return err
			}
			if s.exists && (isRole || !s.abandoned() || !p.names.isDatabase(name)) {
				return notRemovable(i)
			}
			return a.finishDrop(ctx, name, s)
		})
	})
}

func notRemovable(i Item) error {
	return &hub.StepError{Class: hub.ClassData, Code: "NOT_REMOVABLE", Err: fmt.Errorf("%s belongs to somebody, or has come to since it was listed; it was not touched", i.Name)}
}

// Quarantine lets nobody but the hub's own role reach a database any more and ends the sessions in it; nothing is lost. Release undoes it. It
// takes the right to log in: closing the database itself would make it look half made.
func (p *Provider) Quarantine(ctx context.Context, b hub.Backend) error {
	return p.owned(ctx, b, "shutting its logins out", func(a *admin, name string, s state) error {
		shut := logins(name, s, `ALTER ROLE %[1]s NOLOGIN; GRANT %[1]s TO CURRENT_USER`) // a login that is not there has nothing to shut
		if len(shut) == 0 {
			return a.endSessions(ctx, name)
		}
		// One message, which the server works through whoever is still there to hear of it: nobody finds the logins shut and a session alive.
		sql := fmt.Sprintf(`BEGIN; %s; COMMIT; %s`, strings.Join(shut, "; "), endSQL(name))
		return provider.Again(ctx, func() error {
			err := a.exec(ctx, sql)
			if err != nil && !a.conn.IsClosed() {
				_, _ = a.conn.Exec(ctx, `ROLLBACK`) // what counts is why
			}
			return err
		})
	})
}

// Release lets the logins of a database in again. One that is missing is made, and both have the passwords of the credentials and the rights that
// Create gives, as after a dump was restored without roles.
func (p *Provider) Release(ctx context.Context, b hub.Backend, c hub.Credentials) error {
	for try := 0; ; try++ {
		err := p.ensureCluster(ctx)
		if err == nil {
			err = p.owned(ctx, b, "letting its logins in", func(a *admin, name string, s state) error { return a.letIn(ctx, b, c, name, s) })
		}
		if codeOf(err) != codeNoRole || try == 1 {
			return p.withMissingRights(ctx, err)
		}
		p.ready.Store(false) // as in Create
	}
}

func (a *admin) letIn(ctx context.Context, b hub.Backend, c hub.Credentials, name string, s state) error {
	if err := s.foreignRole(name); err != nil {
		return err
	}
	runtime, owner, err := passwords(c, name)
	if err != nil {
		return err
	}
	v := newVerifiers(runtime, owner)
	if v.err != nil {
		return v.err
	}
	opened := append([]string{a.p.loginsSQL(name, s, v, markerOf(b.TenantID, b.Generation))}, logins(name, s, `ALTER ROLE %s LOGIN`)...)
	return a.again(ctx, opened...)
}

// logins puts the names of a database's logins that are there into a statement.
func logins(name string, s state, sql string) (out []string) {
	if s.owner.exists {
		out = append(out, fmt.Sprintf(sql, quote(name+ownerSuffix)))
	}
	if s.runtime.exists {
		out = append(out, fmt.Sprintf(sql, quote(name+runtimeSuffix)))
	}
	return out
}

// owned runs f under the lock of a database's name when the database is there and its marker is b's.
func (p *Provider) owned(ctx context.Context, b hub.Backend, op string, f func(a *admin, name string, s state) error) error {
	name, _, err := p.database(b)
	if err != nil {
		return err
	}
	return p.with(ctx, op, func(a *admin) error {
		return a.locked(ctx, name, func() error {
			s, err := a.look(ctx, name)
			if err != nil {
				return err
			}
			if err := p.mine(b, s); err != nil {
				return err
			}
			return f(a, name, s)
		})
	})
}
