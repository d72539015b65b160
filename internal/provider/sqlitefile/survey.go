package sqlitefile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/kitshub/kitshub/internal/hub"
)

// quarantineDir holds the files that were shut away, beside the others so that a rename takes them there.
const quarantineDir = ".quarantine"

var _ hub.Reconciler = (*Provider)(nil)

// placeForm is what placeOf makes. The generation has no leading zero, so that a name leads to one backend only.
var placeForm = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9_-]{0,99})\.g([1-9][0-9]{0,17})\.db$`)

// Survey lists the databases in this hub's own directory, those in quarantine among them; files of other names are nobody's concern. Files in the
// making show as nothing: New removes those whose maker died.
func (p *Provider) Survey(ctx context.Context) (hub.Survey, error) {
	v := hub.Survey{Parts: []string{""}}
	for _, dir := range []string{p.dir, filepath.Join(p.dir, quarantineDir)} {
		if err := ctx.Err(); err != nil {
			return v, err
		}
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) && dir != p.dir {
			continue
		}
		if err != nil {
			return v, fault("listing the databases", err)
		}
		for _, e := range entries {
			if b, ok := backendOf(e.Name()); ok && e.Type().IsRegular() {
				v.Found = append(v.Found, hub.Found{
					Provider: Name, Name: e.Name(), Place: e.Name(), Kind: hub.FoundDatabase, State: hub.FoundWhole, Owner: b, Open: dir == p.dir,
				})
			}
		}
	}
	v.Whole = v.Parts
	return v, nil
}

func backendOf(file string) (hub.Backend, bool) {
	m := placeForm.FindStringSubmatch(file)
	if m == nil {
		return hub.Backend{}, false
	}
	g, err := strconv.ParseInt(m[2], 10, 64)
	return hub.Backend{TenantID: m[1], Generation: g, Provider: Name, Place: file}, err == nil
}

// Peek opens a file to read from, wherever it lies.
func (p *Provider) Peek(ctx context.Context, f hub.Found) (*sql.DB, error) {
	path, err := p.path(f.Owner)
	if err != nil {
		return nil, err
	}
	if !f.Open {
		path = p.shut(path)
	}
	db, err := sql.Open("sqlite", dsn(path, fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "query_only(1)"))
	if err != nil {
		return nil, fault("opening the database", err)
	}
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fault("opening the database", err), db.Close())
	}
	return db, nil
}

// Clear has nothing to do: what is half made has no name here.
func (p *Provider) Clear(_ context.Context, f hub.Found) error {
	return &hub.StepError{Class: hub.ClassBug, Err: fmt.Errorf("%.120q is no file that was half made", f.Name)}
}

func (p *Provider) shut(path string) string {
	return filepath.Join(filepath.Dir(path), quarantineDir, filepath.Base(path))
}

// Quarantine moves the file, and what SQLite keeps beside it, to where no program looks for it; nothing is lost. Who has it open keeps it.
func (p *Provider) Quarantine(ctx context.Context, b hub.Backend) error {
	return p.moved(ctx, b, "shutting the database away", func(path string) (from, to string) { return path, p.shut(path) })
}

// Release moves it back.
func (p *Provider) Release(ctx context.Context, b hub.Backend, _ hub.Credentials) error {
	return p.moved(ctx, b, "bringing the database back", func(path string) (from, to string) { return p.shut(path), path })
}

// moved moves a database and what belongs to it, and goes on where an earlier call was killed. The database goes first when it is shut away and
// last when it comes back: a program that opens it between two renames must never find it without its log.
func (p *Provider) moved(ctx context.Context, b hub.Backend, op string, way func(path string) (from, to string)) error {
	path, err := p.path(b)
	if err != nil {
		return err
	}
	unlock, err := p.placing.lock(ctx, b.Place)
	if err != nil {
		return err
	}
	defer unlock()
	from, to := way(path)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return fault(op, err)
	}
	files := append([]string{""}, siblings...)
	if to == path {
		files = append(append([]string{}, siblings...), "")
	}
	for _, f := range files {
		switch there, err := exists(to + f); {
		case err != nil:
			return fault(op, err)
		case there && f == "":
			if doubled, err := exists(from); err != nil {
				return fault(op, err)
			} else if doubled {
				return &hub.StepError{Class: hub.ClassData, Err: fmt.Errorf("%s is there and in quarantine; find out which of the two counts", b.Place)}
			}
		}
		if err := os.Rename(from+f, to+f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fault(op, err)
		}
	}
	if there, err := exists(to); err != nil {
		return fault(op, err)
	} else if !there {
		return missing(b, fs.ErrNotExist)
	}
	return fault(op, errors.Join(syncDir(filepath.Dir(to)), syncDir(filepath.Dir(from))))
}

// dropShut removes a database that is in quarantine, as Drop does.
func (p *Provider) dropShut(path string) error {
	path = p.shut(path)
	if there, err := exists(filepath.Dir(path)); err != nil || !there {
		return err
	}
	if err := removeWithSiblings(path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
