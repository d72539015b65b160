//go:build unix

package pgkit

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Census is what there is on the cluster and what the hub knows of it, at one time.
type Census struct {
	Databases map[string]Database
	Roles     map[string]string // name → comment
	Tenants   []Owner
	Members   []Owner // of the pool

	installation string
}

// Tag is what stands at the end of every comment: whose data the hub has.
func (c *Census) Tag() string {
	if c.installation == "" {
		return ""
	}
	return "@" + c.installation
}

// Database is one that bears a name of ours.
type Database struct {
	Comment string
	Open    bool // lets its roles in
	Public  bool // lets every role in
}

// Owner is a row of the hub's that a database belongs to.
type Owner struct {
	ID         string
	Request    string // of a tenant
	State      string
	Took       string // the member of the pool whose database a tenant took, until it bears the tenant's own seal
	Done       bool   // the database has to be there: a tenant's request is completed, a member is ready
	Database   string
	Generation int64
}

// Faults are what the census found wrong.
type Faults struct {
	Orphans []string // on the cluster, and the hub knows nobody whose it is
	Ghosts  []string // known to the hub as somebody's, and not on the cluster
	Doubles []string // one thing for two, or two for one
}

// Count is how many there are.
func (f Faults) Count() int { return len(f.Orphans) + len(f.Ghosts) + len(f.Doubles) }

// All gives them in words.
func (f Faults) All() []string {
	var out []string
	for kind, list := range map[string][]string{"orphan": f.Orphans, "ghost": f.Ghosts, "double": f.Doubles} {
		for _, what := range list {
			out = append(out, kind+": "+what)
		}
	}
	slices.Sort(out)
	return out
}

// ours is the form of every name that the hub makes on a cluster. What belongs to the hub's own data bears a name for it, and the same one stands
// at the end of every comment; a world has one hub's data, so the comments are kept without it, and a second one is a fault.
const ours = `^kh[a-z2-7]*_`

var sharedRole = regexp.MustCompile(ours + `(owner|app)$`)

func (c *Census) comment(says string) string {
	body, installation, ok := strings.Cut(says, "@")
	if !ok {
		return says
	}
	if c.installation == "" {
		c.installation = installation
	}
	if c.installation != installation {
		return says
	}
	return body
}

// TakeCensus reads everything. The two sides are read one after the other, so it means something only when nothing is on its way; Settle waits
// for that.
func (w *World) TakeCensus(ctx context.Context) (*Census, error) {
	c := &Census{Databases: map[string]Database{}, Roles: map[string]string{}}
	err := each(ctx, w.Super, `SELECT datname, coalesce(shobj_description(oid, 'pg_database'), ''), datallowconn,
			EXISTS (SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) x WHERE x.grantee = 0 AND x.privilege_type = 'CONNECT')
		FROM pg_database WHERE datname ~ '`+ours+`'`, func(rows *sql.Rows) error {
		var name string
		var d Database
		err := rows.Scan(&name, &d.Comment, &d.Open, &d.Public)
		d.Comment = c.comment(d.Comment)
		c.Databases[name] = d
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the cluster's databases: %w", err)
	}
	err = each(ctx, w.Super, `SELECT rolname, coalesce(shobj_description(oid, 'pg_authid'), '') FROM pg_roles WHERE rolname ~ '`+ours+`'`, func(rows *sql.Rows) error {
		var name, comment string
		err := rows.Scan(&name, &comment)
		c.Roles[name] = c.comment(comment)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the cluster's roles: %w", err)
	}
	owners := func(into *[]Owner, query string) error {
		return each(ctx, w.Hub, query, func(rows *sql.Rows) error {
			var o Owner
			var place string
			err := rows.Scan(&o.ID, &o.Request, &o.State, &o.Took, &place, &o.Generation, &o.Done)
			_, o.Database, _ = strings.Cut(place, "/")
			*into = append(*into, o)
			return err
		})
	}
	err = owners(&c.Tenants, `SELECT t.id, t.request_id, t.state, t.member, t.place, t.generation, r.state = 'completed' FROM tenants t JOIN requests r ON r.id = t.request_id
		WHERE t.provider = 'postgres' AND t.state <> 'purged'`)
	if err != nil {
		return nil, fmt.Errorf("read the hub's tenants: %w", err)
	}
	err = owners(&c.Members, `SELECT id, '', state, '', place, generation, state = 'ready' FROM pool_members WHERE provider = 'postgres'`)
	if err != nil {
		return nil, fmt.Errorf("read the hub's pool: %w", err)
	}
	return c, nil
}

func each(ctx context.Context, db *sql.DB, query string, take func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := take(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Judge holds the two sides against each other.
func (c *Census) Judge() Faults {
	var f Faults
	holders := map[string][]string{} // database → who the hub says it belongs to
	byMark := map[string]Owner{}     // the comment that a database must bear → whose it is
	for _, t := range c.Tenants {
		holders[t.Database] = append(holders[t.Database], t.ID)
		byMark["kitshub:"+t.ID+":"+strconv.FormatInt(t.Generation, 10)] = t
	}
	for _, m := range c.Members {
		holders[m.Database] = append(holders[m.Database], m.ID)
		byMark["kitshub:pool:"+m.ID+":"+strconv.FormatInt(m.Generation, 10)] = m
	}
	for name, who := range holders {
		if len(who) > 1 {
			f.Doubles = append(f.Doubles, fmt.Sprintf("database %s is recorded as that of %s", name, strings.Join(who, " and of ")))
		}
	}
	ofRequest := map[string]string{}
	for _, t := range c.Tenants {
		if other := ofRequest[t.Request]; other != "" {
			f.Doubles = append(f.Doubles, fmt.Sprintf("request %s has the tenants %s and %s", t.Request, other, t.ID))
		}
		ofRequest[t.Request] = t.ID
	}
	c.judgeDatabases(&f, byMark)
	c.judgeRoles(&f)
	for _, o := range slices.Concat(c.Tenants, c.Members) {
		c.judgeOwner(&f, o)
	}
	return f
}

func (c *Census) judgeDatabases(f *Faults, byMark map[string]Owner) {
	seen := map[string]string{}
	taken := map[string]string{} // database → the mark that it bears until the turn comes of the tenant who took it out of the pool, on record
	for _, t := range c.Tenants {
		if t.Took != "" && !t.Done {
			taken[t.Database] = "kitshub:pool:" + t.Took + ":"
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Databases)) {
		d := c.Databases[name]
		if strings.HasPrefix(d.Comment, "kitshub:template:") {
			if d.Open || d.Public {
				f.Orphans = append(f.Orphans, "template "+name+" can be entered, so its copies may hold anything")
			}
			continue
		}
		if other := seen[d.Comment]; other != "" && d.Comment != "" {
			f.Doubles = append(f.Doubles, fmt.Sprintf("databases %s and %s both say %q", other, name, d.Comment))
		}
		seen[d.Comment] = name
		switch o, ok := byMark[d.Comment]; {
		case !ok && taken[name] != "" && strings.HasPrefix(d.Comment, taken[name]):
		case !ok:
			f.Orphans = append(f.Orphans, fmt.Sprintf("database %s says %q, and the hub has no such tenant or member", name, d.Comment))
		case o.Database != name:
			f.Orphans = append(f.Orphans, fmt.Sprintf("database %s says that it is %s's, whose database is %s", name, o.ID, o.Database))
		}
	}
}

func (c *Census) judgeRoles(f *Faults) {
	for _, role := range slices.Sorted(maps.Keys(c.Roles)) {
		if sharedRole.MatchString(role) && c.Roles[role] == "kitshub:cluster" {
			continue
		}
		name := strings.TrimSuffix(strings.TrimSuffix(role, "_o"), "_r")
		if _, ok := c.Databases[name]; !ok || c.Roles[role] != "kitshub:role:"+name+":0" {
			f.Orphans = append(f.Orphans, fmt.Sprintf("role %s says %q and has no database", role, c.Roles[role]))
		}
	}
}

func (c *Census) judgeOwner(f *Faults, o Owner) {
	if !o.Done {
		return
	}
	d, there := c.Databases[o.Database]
	switch {
	case !there:
		f.Ghosts = append(f.Ghosts, fmt.Sprintf("%s (%s) has no database %s", o.ID, o.State, o.Database))
		return
	case !d.Open:
		f.Ghosts = append(f.Ghosts, fmt.Sprintf("%s (%s) has the database %s, which lets nobody in", o.ID, o.State, o.Database))
	}
	for _, suffix := range []string{"_o", "_r"} {
		if _, ok := c.Roles[o.Database+suffix]; !ok {
			f.Ghosts = append(f.Ghosts, fmt.Sprintf("%s (%s) has no role %s", o.ID, o.State, o.Database+suffix))
		}
	}
}

// Settle waits until no request is on its way and the pool is at rest, and gives the census then; at the end of ctx, the last one.
func (w *World) Settle(ctx context.Context) (*Census, error) {
	if _, err := w.AwaitAll(ctx); err != nil {
		return nil, err
	}
	for {
		var busy int
		err := w.Hub.QueryRowContext(ctx, `SELECT count(*) FROM pool_members WHERE state <> 'ready'`).Scan(&busy)
		if err != nil {
			return nil, err
		}
		if busy == 0 {
			return w.TakeCensus(ctx)
		}
		if err := Wait(ctx, 5*askEvery); err != nil {
			return nil, fmt.Errorf("%d of the pool's databases were not ready in time: %w", busy, err)
		}
	}
}

// AwaitPool waits until every plan's pool has so many ready members.
func (w *World) AwaitPool(ctx context.Context, each, plans int) error {
	for {
		var ready int
		if err := w.Hub.QueryRowContext(ctx, `SELECT count(*) FROM pool_members WHERE state = 'ready'`).Scan(&ready); err != nil {
			return err
		}
		if ready >= each*plans {
			return nil
		}
		if err := Wait(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("the pool has %d ready members instead of %d: %w", ready, each*plans, err)
		}
	}
}

// The kinds of database that belong to no customer, and what has the form of one.
const (
	KindHub      = "the hub's own"
	KindServer   = "the server's"
	KindTemplate = "a template"
	KindPool     = "the pool's"
	KindOurs     = "another of the hub's making"
)

var ourForm = regexp.MustCompile(ours)

// KindOf says what a database that is no customer's is, by its name and comment.
func KindOf(name, comment string) string {
	switch {
	case name == hubDatabase:
		return KindHub
	case !ourForm.MatchString(name):
		return KindServer
	case strings.HasPrefix(comment, "kitshub:template:"):
		return KindTemplate
	case strings.HasPrefix(comment, "kitshub:pool:"):
		return KindPool
	}
	return KindOurs
}
