package pgcluster

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// Clusters is several clusters as one provider. New databases are spread over them by their tenant's id; one that is there is found by its place,
// which begins with its cluster's name. A cluster may be added at any time. One that is taken away takes its tenants out of reach, no more.
type Clusters struct {
	all []*Provider
}

var _ hub.Provider = (*Clusters)(nil)

// NewClusters takes clusters of different names, at least one. Close closes them.
func NewClusters(all ...*Provider) (*Clusters, error) {
	if len(all) == 0 {
		return nil, errors.New("the Postgres provider needs a cluster")
	}
	for i, p := range all {
		if slices.ContainsFunc(all[:i], func(q *Provider) bool { return q.name == p.name }) {
			return nil, fmt.Errorf("two clusters are named %q", p.name)
		}
	}
	return &Clusters{all}, nil
}

// All gives the clusters, for what concerns each by itself: Ping.
func (c *Clusters) All() []*Provider { return c.all }

// Name is "postgres".
func (*Clusters) Name() string { return Name }

// Dialect is Postgres.
func (*Clusters) Dialect() hub.Dialect { return hub.Postgres }

// Close closes all of them.
func (c *Clusters) Close() error {
	var errs []error
	for _, p := range c.all {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

// of finds the cluster of a place.
func (c *Clusters) of(b hub.Backend) (*Provider, error) {
	name, _, _ := strings.Cut(b.Place, "/")
	for _, p := range c.all {
		if p.name == name {
			return p, nil
		}
	}
	return nil, &hub.StepError{Class: hub.ClassAuth, Code: "NO_CLUSTER", Err: fmt.Errorf(
		"the place of tenant %s is recorded as %.120q, and there is no cluster of that name; set its TENANT_DATABASE_URL_<NAME> again", b.TenantID, b.Place)}
}

// Plan chooses the cluster by rendezvous: each scores the id, the highest has it, so a new cluster changes the choice for as few as it must. One
// that is known not to let the hub in is left out while there is another.
func (c *Clusters) Plan(ctx context.Context, tenantID string, generation int64) (hub.Backend, hub.Credentials, error) {
	home := slices.MaxFunc(c.open(), func(p, q *Provider) int {
		return strings.Compare(hashed("home", p.name, tenantID), hashed("home", q.name, tenantID))
	})
	return home.Plan(ctx, tenantID, generation)
}

// open gives the clusters that are not known to keep the hub out; all where all do.
func (c *Clusters) open() []*Provider {
	if there := slices.DeleteFunc(slices.Clone(c.all), func(p *Provider) bool { return p.away.Load() }); len(there) > 0 {
		return there
	}
	return c.all
}

// Parts is Provider.Parts of all clusters, and of those that let the hub in.
func (c *Clusters) Parts() (all, open []string) {
	parts := func(of []*Provider) (list []string) {
		for _, p := range of {
			list = append(list, p.place(""))
		}
		return list
	}
	return parts(c.all), parts(c.open())
}

// askAgain is how often a cluster that was away is asked whether it is back.
const askAgain = 5 * time.Second

// Watch asks each cluster at once and those that are away again and again, so that Plan knows. It returns when ctx ends; with a single cluster
// there is nothing to choose.
func (c *Clusters) Watch(ctx context.Context) {
	if len(c.all) < 2 {
		return
	}
	c.ask(ctx, func(*Provider) bool { return true })
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.ask(ctx, func(p *Provider) bool { return p.away.Load() })
		}
	}
}

// ask pings at once all clusters that are chosen; what Ping finds, connect notes.
func (c *Clusters) ask(ctx context.Context, chosen func(*Provider) bool) {
	var asked sync.WaitGroup
	for _, p := range c.all {
		if !chosen(p) {
			continue
		}
		asked.Go(func() {
			was := p.away.Load()
			err := p.Ping(ctx)
			switch away := p.away.Load(); {
			case away && !was:
				p.log.WarnContext(ctx, "a tenants' cluster cannot be worked with; new tenants are made on the others", "error", err)
			case was && !away:
				p.log.InfoContext(ctx, "a tenants' cluster is back")
			}
		})
	}
	asked.Wait()
}

// Create is Provider.Create.
func (c *Clusters) Create(ctx context.Context, b hub.Backend, cr hub.Credentials, t hub.Template) error {
	return c.on(b, func(p *Provider) error { return p.Create(ctx, b, cr, t) })
}

// Open is Provider.Open.
func (c *Clusters) Open(ctx context.Context, b hub.Backend, cr hub.Credentials, r hub.Role) (*sql.DB, error) {
	p, err := c.of(b)
	if err != nil {
		return nil, err
	}
	return p.Open(ctx, b, cr, r)
}

// Addressed is Provider.Addressed.
func (c *Clusters) Addressed(b hub.Backend, cr hub.Credentials) (hub.Credentials, error) {
	p, err := c.of(b)
	if err != nil {
		return hub.Credentials{}, err
	}
	return p.Addressed(b, cr)
}

// Size is Provider.Size.
func (c *Clusters) Size(ctx context.Context, b hub.Backend, cr hub.Credentials) (n int64, err error) {
	err = c.on(b, func(p *Provider) error { n, err = p.Size(ctx, b, cr); return err })
	return n, err
}

// Drop is Provider.Drop.
func (c *Clusters) Drop(ctx context.Context, b hub.Backend, cr hub.Credentials) error {
	return c.on(b, func(p *Provider) error { return p.Drop(ctx, b, cr) })
}

// Background is Provider.Background.
func (*Clusters) Background(ctx context.Context) context.Context { return For(ctx, Refill) }

// Prepare is Provider.Prepare.
func (c *Clusters) Prepare(ctx context.Context, member hub.Backend, cr hub.Credentials, t hub.Template) (copied bool, err error) {
	err = c.on(member, func(p *Provider) error { copied, err = p.Prepare(ctx, member, cr, t); return err })
	return copied, err
}

// Adopt is Provider.Adopt.
func (c *Clusters) Adopt(member hub.Backend, cr hub.Credentials, tenantID string, generation int64) (hub.Backend, hub.Credentials, error) {
	p, err := c.of(member)
	if err != nil {
		return hub.Backend{}, hub.Credentials{}, err
	}
	return p.Adopt(member, cr, tenantID, generation)
}

// HandOver is Provider.HandOver.
func (c *Clusters) HandOver(ctx context.Context, b hub.Backend) error {
	return c.on(b, func(p *Provider) error { return p.HandOver(ctx, b) })
}

// Discard is Provider.Discard.
func (c *Clusters) Discard(ctx context.Context, member hub.Backend, cr hub.Credentials) error {
	return c.on(member, func(p *Provider) error { return p.Discard(ctx, member, cr) })
}

// Quarantine is Provider.Quarantine.
func (c *Clusters) Quarantine(ctx context.Context, b hub.Backend) error {
	return c.on(b, func(p *Provider) error { return p.Quarantine(ctx, b) })
}

// Release is Provider.Release.
func (c *Clusters) Release(ctx context.Context, b hub.Backend, cr hub.Credentials) error {
	return c.on(b, func(p *Provider) error { return p.Release(ctx, b, cr) })
}

// Rename is Provider.Rename.
func (c *Clusters) Rename(ctx context.Context, f hub.Found, b hub.Backend) error {
	return c.on(b, func(p *Provider) error { return p.Rename(ctx, f, b) })
}

// List gives what is on every cluster. One that cannot be asked is an error, since what is on it would look like ghosts; what the others have
// is given beside it.
func (c *Clusters) List(ctx context.Context) ([]Item, error) { return gather(ctx, c, (*Provider).List) }

// Doctor examines every cluster; What begins with the cluster's name where there are several.
func (c *Clusters) Doctor(ctx context.Context) ([]Finding, error) {
	return gather(ctx, c, func(p *Provider, ctx context.Context) ([]Finding, error) {
		found, err := p.Doctor(ctx)
		if len(c.all) > 1 {
			for i := range found {
				found[i].What = p.name + ": " + found[i].What
			}
		}
		return found, err
	})
}

// DropUnusedTemplates is Provider.DropUnusedTemplates on every cluster.
func (c *Clusters) DropUnusedTemplates(ctx context.Context, keep []string) ([]string, error) {
	return gather(ctx, c, func(p *Provider, ctx context.Context) ([]string, error) { return p.DropUnusedTemplates(ctx, keep) })
}

// Remove is Provider.Remove on the item's cluster.
func (c *Clusters) Remove(ctx context.Context, i Item) error {
	for _, p := range c.all {
		if p.name == i.Cluster {
			return p.Remove(ctx, i)
		}
	}
	return notRemovable(i)
}

func (c *Clusters) on(b hub.Backend, f func(*Provider) error) error {
	p, err := c.of(b)
	if err != nil {
		return err
	}
	return f(p)
}

func gather[T any](ctx context.Context, c *Clusters, f func(*Provider, context.Context) ([]T, error)) (all []T, err error) {
	for _, p := range c.all {
		some, perr := f(p, ctx)
		all, err = append(all, some...), errors.Join(err, perr)
	}
	return all, err
}
