//go:build unix

package pgserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/kitshub/kitshub/internal/testkit/debian"
)

// binDir finds the directory of the server's programs, installing Debian's package when they are missing.
func binDir(ctx context.Context, opts Options) (string, error) {
	if opts.BinDir != "" {
		return opts.BinDir, nil
	}
	dir, ok := installed()
	if ok {
		return dir, nil
	}
	if opts.NoInstall {
		return "", errors.New("a throwaway Postgres needs the server's programs (15 or newer), which are not on this machine: install them, on Debian with `apt-get install postgresql`")
	}
	if opts.Logf != nil {
		opts.Logf("installing Debian's postgresql, which is missing here")
	}
	err := debian.Install(ctx, "postgresql", func() bool { dir, ok = installed(); return ok })
	if err != nil {
		return "", fmt.Errorf("a throwaway Postgres needs the server's programs (15 or newer); tests also take a server of your own in TEST_POSTGRES_URL: %w", err)
	}
	return dir, nil
}

// installed finds initdb and follows it to its real place, since the server must come from the same version.
func installed() (string, bool) {
	path, ok := debian.Find([]string{"initdb"}, []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
	})
	if !ok {
		return "", false
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", false
	}
	dir := filepath.Dir(target)
	_, ok = debian.Find([]string{filepath.Join(dir, "postgres")}, nil)
	return dir, ok
}

// unprivileged gives the account the server runs under: Postgres refuses to run as root. Nil means: our own.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("Postgres refuses to run as root, and this system has neither a user postgres nor a user nobody: run the tests as an ordinary user") //nolint:staticcheck // a proper name
}

// Where Linux keeps files in memory, and how much has to be free there: the tests of internal/hub were seen with 0.7 GiB, and packages run side by side.
const (
	memoryDir    = "/dev/shm"
	roomInMemory = 4 << 30
)

// baseDir is where the directory of a server goes: into memory, unless its files have to be durable, TMPDIR says where, or there is little room.
// To make and drop a database takes twelve times as much of the processor on a disk, and tests on Postgres do little else.
func baseDir(opts Options) string {
	var fs syscall.Statfs_t
	if !opts.Durable && os.Getenv("TMPDIR") == "" && syscall.Statfs(memoryDir, &fs) == nil && fs.Bavail*uint64(fs.Bsize) >= roomInMemory {
		return memoryDir
	}
	return os.TempDir()
}

// makeDir makes the server's directory where its account can reach it.
func makeDir(who *syscall.Credential, opts Options) (string, error) {
	base := baseDir(opts)
	if who != nil && !reachable(base) {
		base = "/tmp" // TMPDIR may lie inside root's home
	}
	dir, err := os.MkdirTemp(base, "kitshub-postgres-")
	if err != nil {
		return "", fmt.Errorf("directory for Postgres: %w", err)
	}
	data, err := makeApart(dir, "data")
	if err == nil && who != nil {
		err = errors.Join(os.Chown(dir, int(who.Uid), int(who.Gid)), os.Chown(data, int(who.Uid), int(who.Gid)))
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return "", fmt.Errorf("directory for Postgres: %w", err)
	}
	return dir, nil
}

// reachable reports whether everybody may walk down to dir and write there.
func reachable(dir string) bool {
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm()&0o003 != 0o003 {
		return false
	}
	for up := filepath.Dir(dir); ; up = filepath.Dir(up) {
		info, err := os.Stat(up)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if up == filepath.Dir(up) {
			return true
		}
	}
}

// freePort asks the kernel for a free loopback port.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
	if err != nil {
		return 0, fmt.Errorf("free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("free port: unexpected address %v", l.Addr())
	}
	return addr.Port, nil
}

// settings are the server's arguments, in a fixed order.
func settings(opts Options) []string {
	all := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "",
		"max_connections":         "300", // test packages run side by side, each with its pools
		"shared_buffers":          "128MB",
		"jit":                     "off", // compiling a query costs more than our small tables do
		"timezone":                "UTC",
		"log_checkpoints":         "off",
	}
	if !opts.Durable {
		for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
			all[name] = "off"
		}
		all["checkpoint_timeout"] = "1h"
	}
	for name, value := range opts.Settings {
		all[name] = value
	}
	args := make([]string, 0, 2*len(all))
	for name, value := range all {
		args = append(args, "--"+name+"="+value)
	}
	slices.Sort(args)
	return args
}
