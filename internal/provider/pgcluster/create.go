package pgcluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/kitshub/kitshub/internal/hub"
)

// Create makes the planned database as a copy of the template, with its two roles, or hands over the pool's member that the place names. It
// builds the template where it is missing. Whatever a killed earlier call left is taken up; the credentials given are those in force
// afterwards. A database or role that is not this tenant's is refused and left as it is.
//
// A template whose catalog is broken gives an empty database, so that the pipeline runs step by step and can name the one that fails.
//
// Errors are *hub.StepError but for the end of ctx and what Build returns.
func (p *Provider) Create(ctx context.Context, b hub.Backend, c hub.Credentials, t hub.Template) error {
	_, err := p.create(ctx, b, c, t)
	return err
}

// create is Create, and says which template's database this very call has copied: none where it found one that was there.
func (p *Provider) create(ctx context.Context, b hub.Backend, c hub.Credentials, t hub.Template) (copied string, err error) {
	name, own, err := p.database(b)
	if err != nil {
		return "", err
	}
	if _, _, err := passwords(c, name); err != nil {
		return "", err
	}
	if !own {
		return "", p.HandOver(ctx, b)
	}
	for try := 0; ; try++ {
		if err = p.ensureCluster(ctx); err == nil {
			copied, err = p.make(ctx, b, c, name, t)
		}
		if codeOf(err) != codeNoRole || try == 1 {
			return copied, p.withMissingRights(ctx, err)
		}
		p.ready.Store(false) // the server came back without what all databases share: restored, or set up anew
	}
}

// errNoTemplate asks for the template; it is built without the lock and the connection that are held when it is found missing.
var errNoTemplate = errors.New("the template is not there")

// make makes a database that is named after the tenant or member itself.
func (p *Provider) make(ctx context.Context, b hub.Backend, c hub.Credentials, name string, t hub.Template) (copied string, err error) {
	source := p.known(t.Key)
	for try := 0; ; try++ {
		err := p.with(ctx, "creating the database", func(a *admin) error {
			return a.locked(ctx, name, func() (err error) { copied, err = a.makeLocked(ctx, b, c, name, source); return err })
		})
		if !errors.Is(err, errNoTemplate) || try == 3 {
			return copied, err
		}
		if source != "" {
			p.templates.Delete(source) // dropped since it was used last
		}
		if source, err = p.templateFor(ctx, t); err != nil {
			return "", err
		}
	}
}

func (a *admin) makeLocked(ctx context.Context, b hub.Backend, c hub.Credentials, name, source string) (copied string, err error) {
	p, want := a.p, markerOf(b.TenantID, b.Generation)
	s, err := a.look(ctx, name)
	if err != nil {
		return "", err
	}
	if s.exists && s.known && s.marker == (Marker{MarkDropping, want.ID, want.Generation}) { // a drop that was killed
		if err := a.finishDrop(ctx, name, s); err != nil {
			return "", err
		}
		if s, err = a.look(ctx, name); err != nil {
			return "", err
		}
	}
	if s.exists && s.marker != want && !s.abandoned() {
		return "", p.foreign(b, s)
	}
	if err := s.foreignRole(name); err != nil {
		return "", err
	}
	if !s.exists && source == "" {
		return "", errNoTemplate
	}
	runtime, owner, err := passwords(c, name)
	if err != nil {
		return "", err
	}
	hashed := make(chan verifiers, 1) // while the server copies: it takes as long as all the statements beside the copy
	go func() { hashed <- newVerifiers(runtime, owner) }()
	if !s.exists {
		if err := a.clone(ctx, name, source); err != nil {
			return "", err
		}
		copied = source
	}
	v := <-hashed
	if v.err != nil {
		return "", v.err
	}
	return copied, a.again(ctx, p.loginsSQL(name, s, v, want))
}

// clone copies a template. The copy lets nobody in until it is finished: a new database is open to every role of the cluster otherwise, and
// one that is closed and has no marker is known to be nobody's yet.
func (a *admin) clone(ctx context.Context, name, source string) error {
	p := a.p
	places := []chan struct{}{p.clones}
	if purposeOf(ctx) == Refill {
		places = []chan struct{}{p.refills, p.clones}
	}
	for _, place := range places {
		select {
		case place <- struct{}{}:
			defer func() { <-place }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	sql := fmt.Sprintf(`CREATE DATABASE %s TEMPLATE %s STRATEGY wal_log ALLOW_CONNECTIONS false`, quote(name), quote(source))
	for try := 0; ; try++ {
		err := a.again(ctx, sql)
		switch codeOf(err) {
		case codeNoDatabase, codeNotInState: // gone, or in the middle of going
			return errNoTemplate
		case codeInUse: // the server has waited five seconds already
			if try == 1 {
				return &hub.StepError{Class: hub.ClassNetwork, Code: codeInUse, Err: fmt.Errorf(
					"somebody is connected to the template %s, which nobody should be, so it cannot be copied; see who in pg_stat_activity: %w", source, err)}
			}
			if err := a.showOut(ctx, source); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// showOut ends the sessions in a database that we may end, and closes it to new ones.
func (a *admin) showOut(ctx context.Context, name string) error {
	if err := a.again(ctx, `ALTER DATABASE `+quote(name)+` ALLOW_CONNECTIONS false`); err != nil {
		return err
	}
	return a.endSessions(ctx, name)
}

// endSessions ends the sessions of roles that we are a member of, and waits for their end. Those of others are left; the statement that needs
// them gone says so.
func (a *admin) endSessions(ctx context.Context, name string) error { return a.exec(ctx, endSQL(name)) }

func endSQL(name string) string {
	return fmt.Sprintf(`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
		WHERE datname = %s AND pid <> pg_backend_pid() AND usesysid IS NOT NULL AND pg_has_role(current_user, usesysid, 'USAGE')
		AND (SELECT NOT rolsuper FROM pg_roles WHERE oid = usesysid)`, literal(name))
}
