package pgcluster

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/provider"
)

var (
	_ hub.Reconciler = (*Provider)(nil)
	_ hub.Reconciler = (*Clusters)(nil)
	_ hub.Renamer    = (*Provider)(nil)
	_ hub.Renamer    = (*Clusters)(nil)
)

// Survey gives what List shows, in the domain's words. A cluster that cannot be asked is an error and not among the whole ones; the others are.
func (c *Clusters) Survey(ctx context.Context) (all hub.Survey, err error) {
	for _, p := range c.all {
		one, perr := p.Survey(ctx)
		all.Found, all.Parts, all.Whole = append(all.Found, one.Found...), append(all.Parts, one.Parts...), append(all.Whole, one.Whole...)
		err = errors.Join(err, perr)
	}
	return all, err
}

// Peek is Provider.Peek.
func (c *Clusters) Peek(ctx context.Context, f hub.Found) (*sql.DB, error) {
	p, err := c.of(hub.Backend{TenantID: f.Owner.TenantID, Place: f.Place})
	if err != nil {
		return nil, err
	}
	return p.Peek(ctx, f)
}

// Clear is Provider.Clear.
func (c *Clusters) Clear(ctx context.Context, f hub.Found) error {
	return c.on(hub.Backend{Place: f.Part + "/"}, func(p *Provider) error { return p.Clear(ctx, f) })
}

// Survey lists what is on the cluster, as List does.
func (p *Provider) Survey(ctx context.Context) (hub.Survey, error) {
	part := []string{p.name + "/"}
	found, err := p.survey(ctx)
	if err != nil {
		return hub.Survey{Parts: part}, err
	}
	return hub.Survey{Found: found, Parts: part, Whole: part}, nil
}

func (p *Provider) survey(ctx context.Context) (found []hub.Found, err error) {
	ctx = For(ctx, Look)
	err = p.with(ctx, "listing what is on the cluster", func(a *admin) error {
		items, err := a.list(ctx)
		if err != nil {
			return err
		}
		// Asked after the list: whoever is at something that was half made then is still, or is done and gone.
		held, err := a.heldLocks(ctx)
		if err != nil {
			return err
		}
		roles := map[string]bool{}
		for _, i := range items {
			roles[i.Name] = roles[i.Name] || i.Role
		}
		for _, i := range items {
			f, ok := p.found(i, held)
			if !ok {
				continue
			}
			if f.State == hub.FoundWhole && f.Place != "" {
				for _, login := range []string{i.Name + ownerSuffix, i.Name + runtimeSuffix} {
					if !roles[login] {
						f.Missing = append(f.Missing, login)
					}
				}
			}
			found = append(found, f)
		}
		return nil
	})
	return found, err
}

// heldLocks gives the keys of the advisory locks that somebody holds in the maintenance database.
func (a *admin) heldLocks(ctx context.Context) (map[int64]bool, error) {
	rows, err := a.conn.Query(ctx, `SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks
		WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	if err != nil {
		return nil, err
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	held := make(map[int64]bool, len(keys))
	for _, k := range keys {
		held[k] = true
	}
	return held, err
}

// found is the item as the domain sees it; false for what concerns nobody but this package.
func (p *Provider) found(i Item, held map[int64]bool) (f hub.Found, ok bool) {
	f = hub.Found{Provider: Name, Part: i.Cluster, Name: i.Name, Place: i.Place, Kind: hub.FoundDatabase, Open: i.Open, Busy: held[lockKey(i.Name)]}
	switch {
	case i.Role && i.Marker.Kind == MarkRole && p.names.isDatabase(i.Marker.ID):
		f.Kind, f.Place, f.Busy = hub.FoundLogin, p.place(i.Marker.ID), held[lockKey(i.Marker.ID)]
		return f, true
	case i.Role && i.Marker.Kind == MarkNone:
		name := strings.TrimSuffix(strings.TrimSuffix(i.Name, ownerSuffix), runtimeSuffix)
		f.Kind, f.State, f.Place, f.Busy = hub.FoundLogin, hub.FoundForeign, p.place(name), held[lockKey(name)]
		return f, name != i.Name && p.names.isDatabase(name)
	case i.Role:
		// The login of a template in the making goes with its database; one that is left alone is found by its own name.
		key, building := p.names.buildingKey(i.Marker.ID)
		f.Kind, f.State, f.Busy = hub.FoundBuild, hub.FoundHalf, held[lockKey(p.names.template(key))]
		return f, building && i.Marker.Kind == MarkRole
	case i.Marker.Kind == MarkTemplate || i.Marker.Kind == MarkCluster:
		return f, false
	case i.Marker.Kind == MarkTenant || i.Marker.Kind == MarkPool:
		f.Owner, _ = i.Backend()
		f.State = hub.FoundWhole
	case i.Marker.Kind == MarkDropping:
		f.Owner, _ = i.Backend()
		f.State = hub.FoundDropping
	default:
		half := !i.Open && i.Mine && i.Unmarked
		if key, building := p.names.buildingKey(i.Name); building && (half || i.Marker.Kind == MarkBuilding) {
			f.Kind, f.State, f.Busy = hub.FoundBuild, hub.FoundHalf, held[lockKey(p.names.template(key))]
			return f, true
		}
		if f.State = hub.FoundForeign; half && i.Place != "" {
			f.State = hub.FoundHalf
		}
	}
	return f, true
}

// Peek opens a finished database without its credentials, to read whose seal it bears and no more: as the role that owns what is in it, and
// without the right to write. The session is the hub's own role's, so nothing that the database brings may run in it: the caller reads one table.
func (p *Provider) Peek(ctx context.Context, f hub.Found) (*sql.DB, error) {
	name, ok := strings.CutPrefix(f.Place, p.name+"/")
	if !ok || !p.names.isDatabase(name) {
		return nil, &hub.StepError{Class: hub.ClassBug, Err: fmt.Errorf("%.120q is no database of ours", f.Place)}
	}
	cfg := p.adminConfig.Copy()
	cfg.Database = name
	cfg.RuntimeParams["role"] = p.names.owner()
	cfg.RuntimeParams["default_transaction_read_only"] = "on"
	db := p.openDB(For(ctx, Look), cfg)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fault(ctx, "looking into the database "+name, err), db.Close())
	}
	return db, nil
}

// Clear is Remove.
func (p *Provider) Clear(ctx context.Context, f hub.Found) error {
	i := Item{Cluster: p.name, Role: f.Kind == hub.FoundLogin, Name: f.Name, Place: f.Place}
	if i.Role {
		i.Marker = Marker{Kind: MarkRole, ID: strings.TrimPrefix(f.Place, p.name+"/")}
	}
	return p.Remove(ctx, i)
}

// Rename gives b's database, found under another name, the name of its place back, which its logins still have. Both names are locked; a database
// that has the name already, unless it is b's, is refused. Who is connected is shown out: a database in use keeps its name. It is one statement, so
// a kill leaves it done or not done.
func (p *Provider) Rename(ctx context.Context, f hub.Found, b hub.Backend) error {
	name, _, err := p.database(b)
	if err != nil {
		return err
	}
	if !p.names.isDatabase(f.Name) || f.Name == name || f.Part != p.name {
		return &hub.StepError{Class: hub.ClassBug, Err: fmt.Errorf("%.120q on cluster %q is no other name of %s", f.Name, f.Part, b.Place)}
	}
	return p.with(ctx, "giving a database its name back", func(a *admin) error {
		return a.locked(ctx, name, func() error {
			if err := a.tryLock(ctx, f.Name); err != nil {
				return err
			}
			return a.rename(ctx, f, b, name)
		})
	})
}

// renamePatience is how long the lock of the second name is waited for: who holds it might wait for the first, and a session that has just died
// gives its locks back a moment later.
const renamePatience = 2 * time.Second

// tryLock takes the lock of a second name, which is given back with the first one's.
func (a *admin) tryLock(ctx context.Context, name string) error {
	for end := time.Now().Add(renamePatience); ; {
		var free bool
		if err := a.row(ctx, `SELECT pg_try_advisory_lock($1)`, []any{lockKey(name)}, &free); err != nil || free {
			return err
		}
		if time.Now().After(end) {
			return &hub.StepError{Class: hub.ClassNetwork, Code: codeLock, Err: fmt.Errorf("somebody works on %s right now; nothing was touched", name)}
		}
		if err := provider.Pause(ctx, lockPause); err != nil {
			return err
		}
	}
}

func (a *admin) rename(ctx context.Context, f hub.Found, b hub.Backend, name string) error {
	p := a.p
	at, err := a.look(ctx, name)
	if err != nil {
		return err
	}
	from, err := a.look(ctx, f.Name)
	switch {
	case err != nil:
		return err
	case at.exists && !from.exists && p.mine(b, at) == nil: // done before
		return nil
	case at.exists:
		return &hub.StepError{Class: hub.ClassData, Code: "FOREIGN_DATABASE", Err: fmt.Errorf(
			"there is a database at %s, so %s cannot have that name; find out which of the two is the customer's, nothing was touched", b.Place, f.Name)}
	}
	if err := p.mine(hub.Backend{TenantID: b.TenantID, Generation: b.Generation, Provider: b.Provider, Place: f.Place}, from); err != nil {
		return err
	}
	if at.foreignRole(name) == nil { // to be allowed to end their sessions
		if member := logins(name, at, `GRANT %s TO CURRENT_USER`); len(member) > 0 {
			if err := a.again(ctx, member...); err != nil {
				return err
			}
		}
	}
	if err := a.endSessions(ctx, f.Name); err != nil {
		return err
	}
	err = a.again(ctx, fmt.Sprintf(`ALTER DATABASE %s RENAME TO %s`, quote(f.Name), quote(name)))
	if codeOf(err) == codeInUse {
		return &hub.StepError{Class: hub.ClassNetwork, Code: codeInUse, Err: fmt.Errorf(
			"somebody is connected to %s, so it keeps its name; see who in pg_stat_activity: %w", f.Name, err)}
	}
	return err
}
