package sqlitefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// tempPrefix marks files in the making. A tenant's id cannot begin with a dot.
const tempPrefix = ".tmp-"

// temp is a file in the making, locked so that a sweep can tell it from one whose maker died.
type temp struct{ *os.File }

func newTemp(dir string) (temp, error) {
	f, err := os.CreateTemp(dir, tempPrefix+"*.db") // mode 0600
	if err != nil {
		return temp{}, err
	}
	// In the instant before the lock a starting process may sweep the file away; publish then fails and the step is tried again.
	if err := lockFile(f); err != nil {
		return temp{}, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return temp{f}, nil
}

// publish gives a synced file its final name, unless that is taken (fs.ErrExist), and syncs the directory.
func (t temp) publish(path string) error {
	err := os.Link(t.Name(), path)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EPERM) {
		// A file system without hard links: look, then rename. Between the two another process could come, but not another goroutine of ours.
		if there, lookErr := exists(path); lookErr != nil || there {
			return errors.Join(lookErr, fs.ErrExist)
		}
		err = os.Rename(t.Name(), path) //nolint:gosec // path is from Provider.path, which believes no place
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// discard closes the file and removes its temporary name, and what SQLite may have left beside it.
func (t temp) discard() {
	_ = removeWithSiblings(t.Name()) // what stays is swept at the next start
	_ = t.Close()
}

// sweep removes what crashed processes left in the making.
func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("looking for unfinished files: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), tempPrefix) || slices.ContainsFunc(siblings, func(s string) bool { return strings.HasSuffix(e.Name(), s) }) {
			continue
		}
		if err := sweepOne(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("removing an unfinished file: %w", err)
		}
	}
	return nil
}

func sweepOne(path string) error {
	f, err := os.Open(path) //nolint:gosec // a name that ReadDir gave
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := lockFile(f); err != nil {
		return nil // its maker lives
	}
	return removeWithSiblings(path)
}

func removeWithSiblings(path string) error {
	var errs []error
	for _, s := range siblings {
		errs = append(errs, removeIfThere(path+s))
	}
	return errors.Join(append(errs, removeIfThere(path))...)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path) //nolint:gosec // path is from Provider.path
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// copyContent copies a whole file. Between two files io.Copy asks the kernel to do it (copy_file_range), which shares the blocks on file
// systems that can.
func copyContent(dst, src *os.File) error {
	_, err := io.Copy(dst, src)
	return err
}

// syncDir makes names last: what was linked or removed in the directory stays so after a power cut.
func syncDir(dir string) error {
	f, err := os.Open(dir) //nolint:gosec // a directory of Config
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
