package sqlitefile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/kitshub/kitshub/internal/hub"
)

// Name is how backends of this provider are marked.
const Name = "sqlite"

// DefaultMaxGolden is how many golden files are kept when Config names no number: the built-in catalog's plans over a few catalog versions.
const DefaultMaxGolden = 32

// Config says where the files are.
type Config struct {
	Dir       string // tenants' databases; made with mode 0700 if missing
	GoldenDir string // golden files, on the same file system for quick copies; made likewise. Empty: ".golden" in Dir
	MaxGolden int    // golden files kept, at least 1; 0 is DefaultMaxGolden
}

// Provider makes SQLite files. It may be used by any number of goroutines, and by several processes on the same directories.
type Provider struct {
	dir, golden string // absolute
	maxGolden   int

	placing  keyLocks // by place: create and drop of one database
	building keyLocks // by template key

	copyFile func(dst, src *os.File) error // tests put a full disk here
}

var _ hub.Provider = (*Provider)(nil)

// New makes the directories where they are missing and removes what crashed processes left half made.
func New(c Config) (*Provider, error) {
	if c.Dir == "" {
		return nil, errors.New("the SQLite provider needs a directory for the tenants' databases")
	}
	if c.MaxGolden < 0 {
		return nil, fmt.Errorf("MaxGolden is %d; it must be 0 (for %d) or more", c.MaxGolden, DefaultMaxGolden)
	}
	if c.MaxGolden == 0 {
		c.MaxGolden = DefaultMaxGolden
	}
	if c.GoldenDir == "" {
		c.GoldenDir = filepath.Join(c.Dir, ".golden")
	}
	p := &Provider{maxGolden: c.MaxGolden, copyFile: copyContent}
	for _, d := range []struct {
		at   *string
		path string
	}{{&p.dir, c.Dir}, {&p.golden, c.GoldenDir}} {
		abs, err := filepath.Abs(d.path)
		if err != nil {
			return nil, err
		}
		if err := os.MkdirAll(abs, 0o700); err != nil {
			return nil, fmt.Errorf("making the directory for the tenants' databases: %w", err)
		}
		if err := sweep(abs); err != nil {
			return nil, err
		}
		*d.at = abs
	}
	return p, nil
}

// Name is "sqlite".
func (*Provider) Name() string { return Name }

// Dialect is SQLite.
func (*Provider) Dialect() hub.Dialect { return hub.SQLite }

// A tenant's id becomes part of a file name, so it may hold only what means nothing to a file system or a shell.
var plainID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)

// Plan names the file. The same tenant and generation give the same answer, always; nothing is touched.
//
// The URL has four slashes, sqlite:////dir/file.db: an absolute path to those who take everything behind three slashes as the path
// (SQLAlchemy, where three would mean a relative one) and, since // is / to a file system, to those who take it by the rules for URLs.
func (p *Provider) Plan(_ context.Context, tenantID string, generation int64) (hub.Backend, hub.Credentials, error) {
	place, err := placeOf(tenantID, generation)
	if err != nil {
		return hub.Backend{}, hub.Credentials{}, err
	}
	return hub.Backend{TenantID: tenantID, Generation: generation, Provider: Name, Place: place}, p.credentials(tenantID, place), nil
}

func (p *Provider) credentials(tenantID, place string) hub.Credentials {
	address := "sqlite:///" + (&url.URL{Path: filepath.Join(p.dir, place)}).EscapedPath()
	return hub.Credentials{URL: address, Env: map[string]string{"DATABASE_URL": address, "KITSHUB_TENANT": tenantID}}
}

// Here implements hub.Mover: the file lies in the directory of the hub that makes it.
func (p *Provider) Here(b hub.Backend) (hub.Credentials, error) {
	if _, err := p.path(b); err != nil {
		return hub.Credentials{}, err
	}
	return p.credentials(b.TenantID, b.Place), nil
}

func placeOf(tenantID string, generation int64) (string, error) {
	if !plainID.MatchString(tenantID) || generation < 1 {
		return "", &hub.StepError{Class: hub.ClassBug, Err: fmt.Errorf("tenant %.100q, generation %d cannot name a file", tenantID, generation)}
	}
	return tenantID + ".g" + strconv.FormatInt(generation, 10) + ".db", nil
}

// path makes the absolute path of a backend. The place comes back from the hub's database, so it is believed only if it is the one that Plan
// would choose: it cannot leave the directory, and no tenant can be led to another's file.
func (p *Provider) path(b hub.Backend) (string, error) {
	place, err := placeOf(b.TenantID, b.Generation)
	if err != nil {
		return "", err
	}
	if b.Provider != Name || b.Place != place {
		return "", &hub.StepError{Class: hub.ClassData, Err: fmt.Errorf(
			"the place of tenant %s is recorded as %.120q of provider %.20q, but can only be %q of %q; correct the record, nothing was touched",
			b.TenantID, b.Place, b.Provider, place, Name)}
	}
	return filepath.Join(p.dir, place), nil
}

// siblings are the files that SQLite keeps beside an open database; they belong to it.
var siblings = []string{"-wal", "-shm", "-journal"}

// Size in bytes: the database and its log.
func (p *Provider) Size(ctx context.Context, b hub.Backend, _ hub.Credentials) (int64, error) {
	path, err := p.path(b)
	if err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return 0, missing(b, err)
	}
	size := info.Size()
	if wal, err := os.Lstat(path + "-wal"); err == nil {
		size += wal.Size()
	}
	return size, nil
}

// Drop removes the database and what SQLite keeps beside it, the database last, also from quarantine; what is missing is no error.
func (p *Provider) Drop(ctx context.Context, b hub.Backend, _ hub.Credentials) error {
	path, err := p.path(b)
	if err != nil {
		return err
	}
	unlock, err := p.placing.lock(ctx, b.Place)
	if err != nil {
		return err
	}
	defer unlock()
	for _, s := range siblings {
		if err := removeIfThere(path + s); err != nil {
			return fault("removing the database", err)
		}
	}
	// Were the database to vanish before its log, a crash could leave a log that SQLite would play into the next database of this name.
	if err := syncDir(p.dir); err != nil {
		return fault("removing the database", err)
	}
	if err := removeIfThere(path); err != nil {
		return fault("removing the database", err)
	}
	return fault("removing the database", errors.Join(syncDir(p.dir), p.dropShut(path)))
}

// missing explains a file that is not there.
func missing(b hub.Backend, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &hub.StepError{Class: hub.ClassData, Code: "ENOENT", Err: fmt.Errorf(
			"tenant %s has no database file %s; retry from the create step, or restore a backup if it had one", b.TenantID, b.Place)}
	}
	return fault("looking at the database", err)
}
