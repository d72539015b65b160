// Package debian finds programs that tests and proofs need, and installs Debian's package of one that is missing
// when that is possible without asking anybody: as root, on a system with apt-get. Everybody else is told the one
// command that mends it. It imports the standard library only, so programs outside the tests can use it.
package debian

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Find gives the first of the named programs that PATH or one of the directories (globs allowed) holds.
func Find(names, dirs []string) (string, bool) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
	}
	for _, dir := range dirs {
		matches, err := filepath.Glob(dir)
		if err != nil {
			continue // a malformed pattern finds nothing
		}
		// Versioned directories sort upwards, so the last match is the newest.
		for i := len(matches) - 1; i >= 0; i-- {
			for _, name := range names {
				if path, err := exec.LookPath(filepath.Join(matches[i], name)); err == nil {
					return path, true
				}
			}
		}
	}
	return "", false
}

// ErrCannotInstall means that this process may not install packages; the text around it says what a person can do.
var ErrCannotInstall = errors.New("cannot be installed from here")

// Install installs one Debian package. Several test processes may find the same gap at once, so they queue on a file
// lock and the later ones see (by the caller's check) that the work is done.
func Install(ctx context.Context, pkg string, found func() bool) error {
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return fmt.Errorf("%s %w: this system has no apt-get; install it with the system's own package manager", pkg, ErrCannotInstall)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%s %w: run `sudo apt-get install -y --no-install-recommends %s`", pkg, ErrCannotInstall, pkg)
	}
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	if found() {
		return nil
	}
	// The package lists of a fresh image are often absent or old: try without them first, since that is quick.
	if _, err = run(ctx, apt, "install", pkg); err == nil && found() {
		return nil
	}
	if out, err := run(ctx, apt, "update", ""); err != nil {
		return fmt.Errorf("apt-get update: %w\n%s", err, out)
	}
	if out, err := run(ctx, apt, "install", pkg); err != nil {
		return fmt.Errorf("apt-get install %s: %w\n%s", pkg, err, out)
	}
	if !found() {
		return fmt.Errorf("Debian's package %s is installed but its program is not where it was looked for", pkg) //nolint:staticcheck // a proper name
	}
	return nil
}

func run(ctx context.Context, apt, verb, pkg string) (string, error) {
	args := []string{"-q", "-y", "-o", "DPkg::Lock::Timeout=300", verb}
	if pkg != "" {
		args = append(args, "--no-install-recommends", pkg)
	}
	cmd := exec.CommandContext(ctx, apt, args...) //nolint:gosec // apt comes from PATH, the package from a constant
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	return tail(string(out), 2000), err
}

func lock() (func(), error) {
	f, err := os.OpenFile(filepath.Join(os.TempDir(), "kitshub-install.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock for installing: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil { //nolint:gosec // a descriptor fits an int
		_ = f.Close()
		return nil, fmt.Errorf("lock for installing: %w", err)
	}
	return func() { _ = f.Close() }, nil // closing drops the lock
}

func tail(s string, n int) string {
	s = strings.TrimSpace(s)
	if len(s) > n {
		s = "…" + s[len(s)-n:]
	}
	return s
}
