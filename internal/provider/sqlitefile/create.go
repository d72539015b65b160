package sqlitefile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/kitshub/kitshub/internal/hub"
)

// Create puts a copy of the template's golden file at the planned place, and builds that golden file at its first use. A template without a
// key, or one whose catalog is broken, gives an empty database. A database that is there already is kept as it is; whose it is, its
// identity row tells, not this package.
//
// Errors are *hub.StepError but for the end of ctx: quota for a full disk, data for a place that is not this tenant's. After any of them, and
// after a crash, Create may be called again.
func (p *Provider) Create(ctx context.Context, b hub.Backend, _ hub.Credentials, t hub.Template) error {
	path, err := p.path(b)
	if err != nil {
		return err
	}
	unlock, err := p.placing.lock(ctx, b.Place)
	if err != nil {
		return err
	}
	defer unlock()
	if there, err := exists(path); err != nil || there {
		return fault("looking for the database", err)
	}
	if err := p.refuseStaleLog(path); err != nil {
		return err
	}
	golden, err := p.goldenFor(ctx, t)
	if err != nil {
		return err
	}
	defer func() { _ = golden.Close() }()
	if err := ctx.Err(); err != nil {
		return err
	}
	err = p.place(golden, path)
	if errors.Is(err, fs.ErrExist) { // another process was first; its copy is as good, and may be in use
		return nil
	}
	return fault("copying the database", err)
}

// goldenFor opens the golden file to copy. A broken catalog gives the empty one: the steps then run one by one on the copy, and the one that
// fails can be named.
func (p *Provider) goldenFor(ctx context.Context, t hub.Template) (*os.File, error) {
	if t.Key == "" {
		return p.openGolden(ctx, emptyTemplate)
	}
	f, err := p.openGolden(ctx, t)
	var step *hub.StepError
	if errors.As(err, &step) && step.Class == hub.ClassCatalog {
		return p.openGolden(ctx, emptyTemplate)
	}
	return f, err
}

// refuseStaleLog: a log without its database would be played into the new one. Drop leaves none, so somebody removed files by hand.
func (p *Provider) refuseStaleLog(path string) error {
	for _, s := range siblings {
		stale, err := exists(path + s)
		if err != nil {
			return fault("looking for the database", err)
		}
		if !stale {
			continue
		}
		if there, err := exists(path); err != nil || there { // made by another process since we looked, log and all
			return fault("looking for the database", err)
		}
		return &hub.StepError{Class: hub.ClassData, Err: fmt.Errorf(
			"%s is there without its database; put the database back beside it, or remove the file if its data is not wanted, then retry", path+s)}
	}
	return nil
}

// place copies src and gives the copy its final name when it is whole and on disk.
func (p *Provider) place(src *os.File, path string) error {
	tmp, err := newTemp(p.dir)
	if err != nil {
		return err
	}
	defer tmp.discard()
	if err := p.copyFile(tmp.File, src); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	return tmp.publish(path)
}
