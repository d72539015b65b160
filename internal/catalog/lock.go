package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/kitshub/kitshub/internal/hub"
)

// lockHeader opens catalog.lock; sha256sum -c passes over it.
const lockHeader = "# Checksums of released migrations, which never change. `sha256sum -c catalog.lock` checks them, too.\n"

var lockLine = regexp.MustCompile(`^([0-9a-f]{64})  (\S.*)$`)

// Lock gives the text of catalog.lock for a folder: one line for each migration's file, in the form of sha256sum. Seeds and checks are not in it:
// they may change, as seeds reach only new tenants and checks leave nothing behind.
func Lock(fsys fs.FS) ([]byte, error) {
	c, err := Load(fsys)
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for _, f := range c.Features {
		for _, s := range f.Migrations {
			for _, src := range s.Text {
				sums[src.File] = src.Checksum
			}
		}
	}
	files := make([]string, 0, len(sums))
	for file := range sums {
		files = append(files, file)
	}
	slices.Sort(files)
	var b bytes.Buffer
	b.WriteString(lockHeader)
	for _, file := range files {
		fmt.Fprintf(&b, "%s  %s\n", sums[file], file)
	}
	return b.Bytes(), nil
}

// WriteLock records the folder's migrations in its catalog.lock, which releases them. It refuses with an *Error, and changes nothing, when a
// migration that was released before is edited, gone or no longer in its place: tenants have it as it was.
func WriteLock(dir string) error {
	fsys := os.DirFS(dir)
	text, err := Lock(fsys)
	if err != nil {
		return err
	}
	l, err := read(fsys)
	if err != nil {
		return err
	}
	if err := l.checkLock(); err != nil {
		return err
	}
	if len(l.findings) > 0 {
		return &Error{Findings: tidy(l.findings)}
	}
	tmp, err := os.CreateTemp(dir, lockName+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", lockName, err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone already when all went well
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return fmt.Errorf("write %s: %w", lockName, err)
	}
	if err := os.Rename(tmp.Name(), filepath.Join(dir, lockName)); err != nil {
		return fmt.Errorf("write %s: %w", lockName, err)
	}
	return nil
}

// checkLock compares the migrations with catalog.lock; a folder without one has released nothing.
func (l *loader) checkLock() error {
	data, err := fs.ReadFile(l.fsys, lockName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", lockName, err)
	}
	released := map[string]bool{}
	for i, text := range strings.Split(string(data), "\n") {
		text = strings.TrimSuffix(text, "\r")
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		m := lockLine.FindStringSubmatch(text)
		if m == nil {
			l.add(lockName, i+1, RuleLock, "Take the line back from version control; `kitshub catalog lock DIR` writes this file, people do not.", "the line is no checksum and path")
			continue
		}
		sum, file := m[1], m[2]
		released[file] = true
		now, there := l.sums[file]
		switch {
		case !there:
			l.add(lockName, i+1, RuleRemoved, "Put the file back as it was; a new migration can undo what it did.", "the released migration %s is gone", file)
		case now != sum:
			l.add(file, 1, RuleEdited, "Put the released text back and write a new migration for the change.", "the released migration was edited: its checksum is not the one on line %d of %s", i+1, lockName)
		}
	}
	l.checkOrder(released)
	return nil
}

// checkOrder finds new migrations that come before released ones: tenants that exist would run them in another order than new tenants.
func (l *loader) checkOrder(released map[string]bool) {
	for _, f := range l.features {
		last := ""
		for _, s := range slices.Backward(f.Migrations) {
			if isReleased(s, released) {
				last = max(last, s.Name)
				continue
			}
			if last != "" {
				l.add(firstFile(s), 1, RuleOrder, "Give it a number above "+last[:4]+".", "the new migration comes before %s, which is released", last)
			}
		}
	}
}

func isReleased(s hub.Script, released map[string]bool) bool {
	for _, src := range s.Text {
		if released[src.File] {
			return true
		}
	}
	return false
}

// firstFile is the file to name when a finding is about a script in both dialects.
func firstFile(s hub.Script) string { return s.Text[dialects[0]].File }
