//go:build unix

package drive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Site is where the hubs of a check live: a binary, a directory that goes with it, and settings that all of them have. Its zero value can be
// closed.
type Site struct {
	Binary string
	Env    []string // NAME=value

	dir     string
	cleanup []func() error
}

// NewSite makes one in a temporary directory whose name begins with prefix.
func NewSite(binary, prefix string) (s Site, err error) {
	s.Binary = binary
	if s.dir, err = os.MkdirTemp("", prefix); err != nil {
		return s, err
	}
	s.Defer(func() error { return os.RemoveAll(s.dir) })
	return s, nil
}

// Path is one in the site's directory.
func (s *Site) Path(name string) string { return filepath.Join(s.dir, name) }

// Options are those of a hub whose data directory is named by home: two hubs of one home are one machine, started twice.
func (s *Site) Options(home, listen string, env ...string) Options {
	return Options{Binary: s.Binary, DataDir: s.Path("home-" + home), Listen: listen, Env: append(append([]string(nil), s.Env...), env...)}
}

// Start runs a hub on a free port.
func (s *Site) Start(ctx context.Context, home string, env ...string) (*Hub, error) {
	listen, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	return Start(ctx, s.Options(home, listen, env...))
}

// AdminToken makes a token with the command line of a machine whose data directory is named by home, and with it the hub's schema.
func (s *Site) AdminToken(ctx context.Context, home string) (string, error) {
	out, err := s.Options(home, "").Command(ctx, "", "tokens", "create", "--name", "proof", "--role", "admin", "-o", "json")
	if err != nil {
		return "", err
	}
	var made struct{ Token string }
	if err := json.Unmarshal(out, &made); err != nil || made.Token == "" {
		return "", fmt.Errorf("tokens create printed %q: %w", out, err)
	}
	return made.Token, nil
}

// Defer adds something to be done by Close, before what was added earlier.
func (s *Site) Defer(f func() error) { s.cleanup = append(s.cleanup, f) }

// Close leaves nothing behind.
func (s *Site) Close() error {
	var errs []error
	for i := len(s.cleanup) - 1; i >= 0; i-- {
		errs = append(errs, s.cleanup[i]())
	}
	return errors.Join(errs...)
}
