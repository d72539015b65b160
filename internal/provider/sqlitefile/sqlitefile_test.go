package sqlitefile

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/provider/providertest"
	"github.com/kitshub/kitshub/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func newProvider(t *testing.T, dir string) *Provider {
	t.Helper()
	p, err := New(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestConformance(t *testing.T) {
	var dirs sync.Map // by test, since a second provider in one test is over the same place
	providertest.Run(t, func(t *testing.T) hub.Provider {
		dir, _ := dirs.LoadOrStore(t.Name(), filepath.Join(t.TempDir(), "tenants ?&#%"))
		return newProvider(t, dir.(string))
	})
}

// tenantsTemplate is one table.
var tenantsTemplate = hub.Template{Key: "k1", Build: func(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, `CREATE TABLE items (id INTEGER PRIMARY KEY)`)
	return err
}}

// made creates a tenant and gives the path of its file.
func made(t *testing.T, p *Provider, id string) (hub.Backend, string) {
	t.Helper()
	b, c, err := p.Plan(t.Context(), id, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Create(t.Context(), b, c, tenantsTemplate); err != nil {
		t.Fatal(err)
	}
	return b, filepath.Join(p.dir, b.Place)
}

// tables counts the tables of a tenant.
func tables(t *testing.T, p *Provider, b hub.Backend) (n int) {
	t.Helper()
	db, err := p.Open(t.Context(), b, p.credentials(b.TenantID, b.Place), hub.RoleTenant)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM sqlite_master`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestFilesAndModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tenants")
	p := newProvider(t, dir)
	b, path := made(t, p, "ten_1")
	for at, want := range map[string]os.FileMode{
		dir: 0o700 | os.ModeDir, p.golden: 0o700 | os.ModeDir, path: 0o600, filepath.Join(p.golden, "k1.db"): 0o400,
	} {
		info, err := os.Stat(at)
		if err != nil || info.Mode() != want {
			t.Errorf("%s: mode %v, %v; want %v", at, info.Mode(), err, want)
		}
	}
	db, err := p.Open(t.Context(), b, hub.Credentials{}, hub.RoleOwner)
	if err != nil {
		t.Fatal(err)
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "foreign_keys": "1", "synchronous": "2", "busy_timeout": "5000"} {
		var got string
		if err := db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", pragma, got, err, want)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(names(t, dir), " "); got != ".golden ten_1.g1.db" {
		t.Errorf("the directory holds %s", got)
	}
	if got := strings.Join(names(t, p.golden), " "); got != "k1.db" {
		t.Errorf("the golden directory holds %s", got)
	}
}

func TestPlanGivesAnAbsoluteURL(t *testing.T) {
	p := newProvider(t, filepath.Join(t.TempDir(), "a b"))
	_, c, err := p.Plan(t.Context(), "ten_1", 1)
	if err != nil {
		t.Fatal(err)
	}
	want := "sqlite:///" + strings.ReplaceAll(p.dir, " ", "%20") + "/ten_1.g1.db"
	if c.URL != want || !strings.HasPrefix(c.URL, "sqlite:////") {
		t.Errorf("URL %s, want %s", c.URL, want)
	}
}

// A kill between any two steps of Create leaves a temporary file of any length and no final name.
func TestCreateAfterACrash(t *testing.T) {
	dir := t.TempDir()
	p := newProvider(t, dir)
	_, whole := made(t, p, "ten_whole")
	content, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, len(content) / 2, len(content)} {
		for _, d := range []string{dir, p.golden} {
			for _, name := range []string{".tmp-1.db", ".tmp-1.db-journal"} {
				if err := os.WriteFile(filepath.Join(d, name), content[:n], 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		id := "ten_" + strings.Repeat("x", n%7+1)
		b, _ := made(t, newProvider(t, dir), id)
		if got := tables(t, p, b); got != 1 {
			t.Errorf("after a crash at byte %d: %d tables, want 1", n, got)
		}
		for _, d := range []string{dir, p.golden} {
			if got := strings.Join(names(t, d), " "); strings.Contains(got, tempPrefix) {
				t.Errorf("after a crash at byte %d there is still %s", n, got)
			}
		}
	}
}

// A second process that starts while the first one copies must not take its file away.
func TestSweepLeavesTheLiving(t *testing.T) {
	dir := t.TempDir()
	p := newProvider(t, dir)
	var seen []string
	p.copyFile = func(dst, src *os.File) error {
		newProvider(t, dir)
		seen = names(t, dir)
		return copyContent(dst, src)
	}
	b, _ := made(t, p, "ten_1")
	if !strings.Contains(strings.Join(seen, " "), tempPrefix) {
		t.Errorf("a start took the file of a living copy: %v", seen)
	}
	if n := tables(t, p, b); n != 1 {
		t.Errorf("%d tables", n)
	}
}

func TestFullDiskLosesNothing(t *testing.T) {
	dir := t.TempDir()
	p := newProvider(t, dir)
	p.copyFile = func(dst, src *os.File) error {
		if _, err := io.CopyN(dst, src, 1000); err != nil {
			return err
		}
		return &os.PathError{Op: "copy_file_range", Path: dst.Name(), Err: syscall.ENOSPC}
	}
	b, c, err := p.Plan(t.Context(), "ten_1", 1)
	if err != nil {
		t.Fatal(err)
	}
	err = p.Create(t.Context(), b, c, tenantsTemplate)
	var fault *hub.StepError
	if !errors.As(err, &fault) || fault.Class != hub.ClassQuota || fault.Code != "ENOSPC" {
		t.Errorf("got %v, want class quota, code ENOSPC", err)
	}
	if got := strings.Join(names(t, dir), " "); got != ".golden" {
		t.Errorf("left behind: %s", got)
	}
	p.copyFile = copyContent
	made(t, p, "ten_1")
	if n := tables(t, p, b); n != 1 {
		t.Errorf("%d tables after the disk had room again", n)
	}
}

func TestFullDiskWhileBuildingTheGoldenFile(t *testing.T) {
	p := newProvider(t, t.TempDir())
	b, c, err := p.Plan(t.Context(), "ten_1", 1)
	if err != nil {
		t.Fatal(err)
	}
	full := hub.Template{Key: "k1", Build: func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, `PRAGMA max_page_count = 2; CREATE TABLE items (b BLOB); INSERT INTO items VALUES (zeroblob(100000))`)
		return err
	}}
	err = p.Create(t.Context(), b, c, full)
	var fault *hub.StepError
	if !errors.As(err, &fault) || fault.Class != hub.ClassQuota || fault.Code != "SQLITE_FULL" {
		t.Errorf("got %v, want class quota, code SQLITE_FULL", err)
	}
	if got := names(t, p.golden); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
}

func TestDamagedGoldenIsBuiltAgain(t *testing.T) {
	for name, damage := range map[string]func(content []byte) []byte{
		"empty":        func([]byte) []byte { return nil },
		"no database":  func(c []byte) []byte { return []byte(strings.Repeat("x", len(c))) },
		"cut":          func(c []byte) []byte { return c[:len(c)-4096] },
		"cut oddly":    func(c []byte) []byte { return c[:len(c)-1] },
		"header only":  func(c []byte) []byte { return c[:100] },
		"longer":       func(c []byte) []byte { return append(c, 0) },
		"header wrong": func(c []byte) []byte { c[0] = 'x'; return c },
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t, t.TempDir())
			made(t, p, "ten_1")
			golden := filepath.Join(p.golden, "k1.db")
			content, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Remove(golden), os.WriteFile(golden, damage(content), 0o400)); err != nil {
				t.Fatal(err)
			}
			b, _ := made(t, p, "ten_2")
			if n := tables(t, p, b); n != 1 {
				t.Errorf("%d tables, want 1", n)
			}
		})
	}
}

func TestGoldenFilesAreLimited(t *testing.T) {
	p, err := New(Config{Dir: t.TempDir(), MaxGolden: 2})
	if err != nil {
		t.Fatal(err)
	}
	use := func(key, id string) {
		t.Helper()
		tpl := tenantsTemplate
		tpl.Key = key
		b, c, err := p.Plan(t.Context(), id, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Create(t.Context(), b, c, tpl); err != nil {
			t.Fatal(err)
		}
	}
	age := func(key string, by time.Duration) {
		t.Helper()
		at := time.Now().Add(-by)
		if err := os.Chtimes(filepath.Join(p.golden, key+".db"), at, at); err != nil {
			t.Fatal(err)
		}
	}
	use("a", "ten_1")
	use("b", "ten_2")
	use("", "ten_3") // the empty one does not count
	age("a", 2*time.Hour)
	age("b", time.Hour)
	use("a", "ten_4") // a is now the younger one
	use("c", "ten_5")
	if got := strings.Join(names(t, p.golden), " "); got != "a.db c.db empty.db" {
		t.Errorf("kept %s", got)
	}
	use("b", "ten_6") // gone, and built again
	if got := names(t, p.golden); len(got) != 3 {
		t.Errorf("kept %v", got)
	}
}

// A log without its database would be played into the next database of that name.
func TestStaleLogIsRefused(t *testing.T) {
	p := newProvider(t, t.TempDir())
	b, path := made(t, p, "ten_1")
	if err := errors.Join(os.WriteFile(path+"-wal", []byte("a log"), 0o600), os.Remove(path)); err != nil {
		t.Fatal(err)
	}
	err := p.Create(t.Context(), b, hub.Credentials{}, tenantsTemplate)
	var fault *hub.StepError
	if !errors.As(err, &fault) || fault.Class != hub.ClassData {
		t.Errorf("got %v, want class data", err)
	}
	if err := p.Drop(t.Context(), b, hub.Credentials{}); err != nil {
		t.Fatal(err)
	}
	made(t, p, "ten_1")
}

func TestOpenRefusesWhatIsNoDatabase(t *testing.T) {
	p := newProvider(t, t.TempDir())
	b, path := made(t, p, "ten_1")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := p.Open(t.Context(), b, hub.Credentials{}, hub.RoleOwner)
	var fault *hub.StepError
	if !errors.As(err, &fault) || fault.Class != hub.ClassData || fault.Code != "SQLITE_NOTADB" {
		t.Errorf("got %v, want class data, code SQLITE_NOTADB", err)
	}
}

// Open looks first, but the file may go in between; the connection itself must not make it either.
func TestConnectionsNeverCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gone.db")
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.PingContext(t.Context()); err == nil {
		t.Error("connected to a file that is not there")
	}
	if there, err := exists(path); there || err != nil {
		t.Errorf("the file was made (%v)", err)
	}
}

func TestNewRefusesABadConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []Config{{}, {Dir: t.TempDir(), MaxGolden: -1}, {Dir: filepath.Join(file, "sub")}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

func TestKeyLocksLeaveNothing(t *testing.T) {
	var k keyLocks
	unlock, err := k.lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { _, err := k.lock(ctx, "a"); done <- err }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("a waiter whose context ended got %v", err)
	}
	if other, err := k.lock(t.Context(), "b"); err != nil {
		t.Error("one key blocks another")
	} else {
		other()
	}
	unlock()
	if len(k.held) != 0 {
		t.Errorf("%d locks stay", len(k.held))
	}
}
