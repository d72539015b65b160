package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/provider"
)

// emptyKey is the template of an empty database that is furnished; it cannot be a digest, which is longer.
const emptyKey = "empty"

// discardWithin bounds the removal of a template that could not be built: it waits for a checkpoint, which takes long where the disk is slow.
const discardWithin = time.Minute

// brokenFor is how long a template that could not be built is not tried again: a build that fails costs seconds, its text is part of its key, and
// every tenant of it would begin with one.
const brokenFor = 10 * time.Minute

// touchEvery is how often a use is noted on a template, by which the least recently used is found.
const touchEvery = 10 * time.Minute

// templateFor gives the name of the template's database and builds it where it is missing.
func (p *Provider) templateFor(ctx context.Context, t hub.Template) (string, error) {
	if t.Key == "" {
		t = hub.Template{Key: emptyKey}
	} else if !plainKey.MatchString(t.Key) || t.Key == emptyKey || t.Build == nil {
		return "", &hub.StepError{Class: hub.ClassBug, Err: fmt.Errorf("a template with key %.40q cannot be built", t.Key)}
	}
	if tried, ok := p.broken.Load(t.Key); ok && p.now().Sub(tried.(time.Time)) < brokenFor { //nolint:forcetypeassert // only we store
		return p.ensureTemplate(ctx, hub.Template{Key: emptyKey})
	}
	name, err := p.ensureTemplate(ctx, t)
	var step *hub.StepError
	if errors.As(err, &step) && step.Class == hub.ClassCatalog {
		p.broken.Store(t.Key, p.now())
		p.log.WarnContext(ctx, "a template could not be built, so its tenants start empty", "key", t.Key, "file", step.File, "line", step.Line, "error", err)
		return p.ensureTemplate(ctx, hub.Template{Key: emptyKey})
	}
	return name, err
}

// known gives the template's database if this process has used it lately, else nothing.
func (p *Provider) known(key string) string {
	if key == "" {
		key = emptyKey
	}
	name := p.names.template(key)
	if noted, ok := p.templates.Load(name); ok && p.now().Sub(noted.(time.Time)) < touchEvery { //nolint:forcetypeassert // only we store
		return name
	}
	return ""
}

func (p *Provider) ensureTemplate(ctx context.Context, t hub.Template) (string, error) {
	name := p.names.template(t.Key)
	if p.known(t.Key) != "" {
		return name, nil
	}
	select {
	case p.building <- struct{}{}:
		defer func() { <-p.building }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	var evict []string
	err := p.with(ctx, "building the template", func(a *admin) (err error) {
		there, err := a.findTemplate(ctx, name, t.Key)
		if err != nil || there {
			return err
		}
		err = a.locked(ctx, name, func() error {
			if there, err := a.findTemplate(ctx, name, t.Key); err != nil || there { // built while we waited
				return err
			}
			if err := a.discardSpoiled(ctx, name); err != nil {
				return err
			}
			return a.build(ctx, t, name)
		})
		if err == nil && t.Key != emptyKey {
			evict, err = a.excess(ctx, name)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	p.templates.Store(name, p.now())
	for _, old := range evict {
		if err := p.dropTemplate(ctx, old); err != nil {
			p.log.WarnContext(ctx, "an unused template could not be dropped; the next build tries again", "template", old, "error", err)
		}
	}
	return name, nil
}

// findTemplate looks for a finished template and notes its use.
func (a *admin) findTemplate(ctx context.Context, name, key string) (bool, error) {
	s, err := a.look(ctx, name)
	if err != nil || !s.exists {
		return false, err
	}
	if !s.known || s.marker.Kind != MarkTemplate || s.marker.ID != key {
		return false, &hub.StepError{Class: hub.ClassData, Code: "FOREIGN_DATABASE", Err: fmt.Errorf(
			"there is a database %s on the cluster that is not the hub's template; it was not touched: rename or drop it, then retry", name)}
	}
	if s.spoiled {
		return false, nil
	}
	now := a.p.now()
	if now.Sub(time.Unix(s.marker.Generation, 0)) > touchEvery {
		s.marker.Generation = now.Unix()
		// Where copies are being made this would wait for them; the note only serves to choose what to drop, so then it is left for another time.
		err := a.exec(ctx, `SET LOCAL lock_timeout = '50ms'; `+commentSQL(name, s.marker.text(a.p.names.tag)))
		if err != nil && !provider.Raced(err) {
			return false, err
		}
	}
	return true, nil
}

// discardSpoiled drops a template whose own drop was interrupted, so that it stands in the way of a new one. The lock of the name is held.
func (a *admin) discardSpoiled(ctx context.Context, name string) error {
	s, err := a.look(ctx, name)
	if err != nil || !s.spoiled {
		return err
	}
	return a.again(ctx, `DROP DATABASE IF EXISTS `+quote(name))
}

func commentSQL(name, text string) string {
	return fmt.Sprintf(`COMMENT ON DATABASE %s IS %s`, quote(name), literal(text))
}

// build makes a template under another name and gives it its own when it is whole and closed. The lock of the name is held.
func (a *admin) build(ctx context.Context, t hub.Template, name string) error {
	p, tmp := a.p, a.p.names.building(t.Key)
	if err := a.discardBuilding(ctx, tmp); err != nil {
		return err
	}
	if err := a.again(ctx, fmt.Sprintf(`CREATE DATABASE %s TEMPLATE template0 ENCODING 'UTF8' ALLOW_CONNECTIONS false`, quote(tmp))); err != nil {
		return fmt.Errorf("making an empty database: %w", err)
	}
	builder, password := tmp+ownerSuffix, newPassword()
	secret, err := verifier(password, ownIterations)
	if err != nil {
		return err
	}
	mark := func(kind MarkerKind) string { return Marker{kind, t.Key, p.now().Unix()}.text(p.names.tag) }
	err = a.again(ctx,
		p.loginSQL(builder, p.names.owner(), tmp, secret, ownerConns, false), p.asOwnerSQL(builder),
		fmt.Sprintf(`GRANT %s TO CURRENT_USER`, quote(builder)), // to be allowed to end its sessions
		`REVOKE ALL ON DATABASE `+quote(tmp)+` FROM PUBLIC`,
		fmt.Sprintf(`GRANT CONNECT ON DATABASE %s TO %s`, quote(tmp), quote(builder)),
		fmt.Sprintf(`GRANT CREATE, TEMPORARY ON DATABASE %s TO %s`, quote(tmp), quote(p.names.owner())),
		commentSQL(tmp, mark(MarkBuilding)),
		`ALTER DATABASE `+quote(tmp)+` ALLOW_CONNECTIONS true`)
	if err == nil {
		err = p.fill(ctx, t, tmp, builder, password)
	}
	if err == nil {
		err = a.showOut(ctx, tmp)
	}
	if err == nil {
		err = a.again(ctx,
			fmt.Sprintf(`ALTER DATABASE %s RENAME TO %s`, quote(tmp), quote(name)), commentSQL(name, mark(MarkTemplate)),
			fmt.Sprintf(`REVOKE ALL ON DATABASE %s FROM %s`, quote(name), quote(builder)), `DROP ROLE `+quote(builder))
		if codeOf(err) == codeDependents {
			err = &hub.StepError{Class: hub.ClassCatalog, Code: codeDependents, Err: fmt.Errorf(
				"a script made something that belongs to the login it was run with, not to the owner of all: leave SET ROLE out of it: %w", err)}
		}
	}
	// Left to itself what could not be built would wait for the next build of this key, which may never come.
	if err != nil && !errors.Is(err, errKilled) && !a.conn.IsClosed() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardWithin)
		defer cancel()
		_ = a.discardBuilding(clean, tmp)
	}
	return err
}

// discardBuilding drops what a build that died left: the database, and then its login. Without a marker the database is one that died between two
// statements; of our name and our making.
func (a *admin) discardBuilding(ctx context.Context, tmp string) error {
	s, err := a.look(ctx, tmp)
	if err != nil {
		return err
	}
	if s.owner.exists && !s.owner.mine {
		return wrongRole(tmp+ownerSuffix, s.owner.shown)
	}
	if s.exists {
		if !s.abandoned() && s.marker.Kind != MarkBuilding {
			return &hub.StepError{Class: hub.ClassData, Code: "FOREIGN_DATABASE", Err: fmt.Errorf(
				"there is a database %s on the cluster that the hub did not make; it was not touched: rename or drop it, then retry", tmp)}
		}
		if !s.spoiled {
			if err := a.showOut(ctx, tmp); err != nil {
				return err
			}
		}
	}
	return a.finishDrop(ctx, tmp, s)
}

// fill furnishes the new database and runs the template's steps in it with a login of its own, as a tenant's steps are run.
func (p *Provider) fill(ctx context.Context, t hub.Template, tmp, builder, password string) error {
	cfg := p.adminConfig.Copy()
	cfg.Database = tmp
	db := p.openDB(ctx, cfg)
	_, err := db.ExecContext(ctx, p.names.furnishSQL())
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("furnishing the empty database: %w", err)
	}
	if t.Build == nil {
		return nil
	}
	cfg.User, cfg.Password = builder, password
	db = p.openDB(ctx, cfg)
	if err := t.Build(ctx, db); err != nil {
		_ = db.Close()
		return err
	}
	return db.Close()
}

// excess lists the templates beyond the limit, the least recently used first, never the one just built.
func (a *admin) excess(ctx context.Context, justBuilt string) ([]string, error) {
	all, err := a.templates(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(x, y Item) int { return int(x.Marker.Generation - y.Marker.Generation) })
	all = slices.DeleteFunc(all, func(i Item) bool { return i.Name == justBuilt || i.Marker.ID == emptyKey })
	var out []string
	for i := 0; i < len(all)-(a.p.maxTemplates-1); i++ {
		out = append(out, all[i].Name)
	}
	return out, nil
}

// DropUnusedTemplates drops the templates whose keys are not among those to keep, also those that an older version of the hub furnished, and
// gives the keys dropped. One that is being copied right now is left.
func (p *Provider) DropUnusedTemplates(ctx context.Context, keep []string) (dropped []string, err error) {
	ctx = For(ctx, Refill)
	var all []Item
	err = p.with(ctx, "listing the templates", func(a *admin) (err error) { all, err = a.templates(ctx); return err })
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		current := t.Name == p.names.template(t.Marker.ID)
		if current && (t.Marker.ID == emptyKey || slices.Contains(keep, t.Marker.ID)) {
			continue
		}
		switch err := p.dropTemplate(ctx, t.Name); {
		case err == nil:
			dropped = append(dropped, t.Marker.ID)
		case provider.Raced(err) || codeOf(err) == codeInUse:
		default:
			return dropped, err
		}
	}
	return dropped, nil
}

// dropTemplate drops one if it is still a template; who comes to copy it now builds it again.
func (p *Provider) dropTemplate(ctx context.Context, name string) error {
	p.templates.Delete(name)
	return p.with(ctx, "dropping the template", func(a *admin) error {
		return a.locked(ctx, name, func() error {
			s, err := a.look(ctx, name)
			if err != nil || !s.exists || s.marker.Kind != MarkTemplate {
				return err
			}
			return a.exec(ctx, `DROP DATABASE IF EXISTS `+quote(name))
		})
	})
}
