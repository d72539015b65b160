package sqlitefile

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// emptyTemplate is the golden file of an empty database in its journal mode; its key cannot be a digest.
var emptyTemplate = hub.Template{Key: "empty", Build: func(context.Context, *sql.DB) error { return nil }}

// A template's key becomes a file name.
var plainKey = regexp.MustCompile(`^[0-9A-Za-z]{1,128}$`)

// touchEvery is how often a use is noted in a golden file's time, by which the least recently used is found.
const touchEvery = time.Minute

// openGolden opens the golden file of a template and builds it where it is missing or damaged.
func (p *Provider) openGolden(ctx context.Context, t hub.Template) (*os.File, error) {
	if !plainKey.MatchString(t.Key) || t.Build == nil {
		return nil, &hub.StepError{Class: hub.ClassBug, Err: fmt.Errorf("a template with key %.40q cannot be built", t.Key)}
	}
	path := filepath.Join(p.golden, t.Key+".db")
	if f, err := openWhole(path); f != nil || err != nil {
		return f, fault("opening the golden file", err)
	}
	unlock, err := p.building.lock(ctx, t.Key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if f, err := openWhole(path); f != nil || err != nil { // built while we waited
		return f, fault("opening the golden file", err)
	}
	if err := p.buildGolden(ctx, t, path); err != nil {
		return nil, fault("building the golden file", err)
	}
	f, err := os.Open(path) //nolint:gosec // the directory of Config and a plain key
	if err != nil {
		return nil, fault("opening the golden file", err)
	}
	p.evict(t.Key)
	return f, nil
}

// openWhole opens a golden file; nil without an error means that it is missing or damaged.
func openWhole(path string) (*os.File, error) {
	f, err := os.Open(path) //nolint:gosec // the directory of Config and a plain key
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil || !isWhole(f, info.Size()) {
		return nil, errors.Join(err, f.Close())
	}
	if now := time.Now(); now.Sub(info.ModTime()) > touchEvery {
		_ = os.Chtimes(path, now, now) // only for the choice of what to evict
	}
	return f, nil
}

// isWhole compares the size with what the header says (https://www.sqlite.org/fileformat.html, section 1.3); it reads 100 bytes, so it finds
// a file that was cut, emptied or overwritten from its start, and no flipped bit further in.
func isWhole(f io.ReaderAt, size int64) bool {
	var h [100]byte
	if _, err := f.ReadAt(h[:], 0); err != nil || string(h[:16]) != "SQLite format 3\x00" {
		return false
	}
	page := int64(binary.BigEndian.Uint16(h[16:]))
	if page == 1 {
		page = 65536
	}
	pages := int64(binary.BigEndian.Uint32(h[28:]))
	current := binary.BigEndian.Uint32(h[24:]) == binary.BigEndian.Uint32(h[92:]) // else the page count is not to be trusted
	return current && pages > 0 && pages*page == size
}

// buildGolden builds in a temporary file and puts it in its place, over a damaged one if there is one.
func (p *Provider) buildGolden(ctx context.Context, t hub.Template, path string) error {
	tmp, err := newTemp(p.golden)
	if err != nil {
		return err
	}
	defer tmp.discard()
	if err := fill(ctx, t, tmp.Name()); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	info, err := tmp.Stat()
	if err != nil {
		return err
	}
	if !isWhole(tmp, info.Size()) {
		return &hub.StepError{Class: hub.ClassData, Err: errors.New("a golden file just built is damaged; look at the disk, then retry")}
	}
	if err := tmp.Chmod(0o400); err != nil {
		return err
	}
	// Renamed, not linked: what is there is damaged, or another process's of equal content, and who has that open goes on with it.
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(p.golden)
}

// fill runs the template's steps on an empty file and leaves one compact file, in WAL mode and without a log. Nothing is synced while it
// runs: if this process dies the file is worth nothing.
func fill(ctx context.Context, t hub.Template, path string) (err error) {
	db, err := sql.Open("sqlite", dsn(path, "foreign_keys(1)", "journal_mode(MEMORY)", "synchronous(OFF)"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	if err := t.Build(ctx, db); err != nil {
		return err
	}
	var mode string
	if _, err := db.ExecContext(ctx, `VACUUM`); err != nil {
		return err
	}
	if err := db.QueryRowContext(ctx, `PRAGMA journal_mode = WAL`).Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("the golden file stays in journal mode %q", mode)
	}
	return nil // closing the only connection folds the log into the file and removes it
}

// evict removes the least recently used golden files beyond the limit, never the one just built.
func (p *Provider) evict(justBuilt string) {
	entries, err := os.ReadDir(p.golden)
	if err != nil {
		return // the next build tries again
	}
	type old struct {
		name string
		used time.Time
	}
	var files []old
	for _, e := range entries {
		key, isDB := strings.CutSuffix(e.Name(), ".db")
		if !isDB || key == justBuilt || key == emptyTemplate.Key || !plainKey.MatchString(key) {
			continue
		}
		if info, err := e.Info(); err == nil {
			files = append(files, old{e.Name(), info.ModTime()})
		}
	}
	if justBuilt != emptyTemplate.Key {
		files = append(files, old{"", time.Now()}) // stands for the one just built, so that it is counted
	}
	for len(files) > p.maxGolden {
		oldest := 0
		for i, f := range files {
			if f.used.Before(files[oldest].used) {
				oldest = i
			}
		}
		if name := files[oldest].name; name != "" {
			_ = os.Remove(filepath.Join(p.golden, name))
		}
		files = append(files[:oldest], files[oldest+1:]...)
	}
}
