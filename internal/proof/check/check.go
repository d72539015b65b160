// Package check holds what the checks of cmd/proof have in common: their options, the one JSON line they end with, and the building of the
// program they judge.
package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// The values of Options.Engine.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// Options are the flags that all checks take.
type Options struct {
	Engine   string
	N        int   // in the unit of the check
	Seed     int64 // same seed, same plan of work
	Sabotage bool  // with the planted bug, which must be found
	Strict   bool  // a missed speed target is a violation
	Binary   string
	Log      io.Writer // what it is doing
}

// Report is the part of the result that all checks have; a check embeds it.
type Report struct {
	Check      string   `json:"check"`
	Engine     string   `json:"engine"`
	N          int      `json:"n"`
	Seed       int64    `json:"seed"`
	Violations int      `json:"violations"`
	Done       int      `json:"done"`
	Sabotage   bool     `json:"sabotage,omitempty"`
	Found      []string `json:"found,omitempty"` // the first violations, in words

	mu  sync.Mutex
	log io.Writer
}

// shown is how many violations are told in words: enough to see what kind they are.
const shown = 10

// Begin fills in what is known before the work.
func (r *Report) Begin(name string, o Options) {
	r.Check, r.Engine, r.N, r.Seed, r.Sabotage, r.log = name, o.Engine, o.N, o.Seed, o.Sabotage, o.Log
}

// Violate notes a broken promise.
func (r *Report) Violate(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Violations++
	if len(r.Found) < shown {
		text := fmt.Sprintf(format, args...)
		r.Found = append(r.Found, text)
		fmt.Fprintln(r.log, "violation:", text)
	}
}

// Passed says whether every promise held and all the work was done.
func (r *Report) Passed() bool { return r.Violations == 0 && r.Done >= r.N && r.N > 0 }

// Count gives the number of violations so far.
func (r *Report) Count() int { return r.Violations }

// Outcome is what a check gives back.
type Outcome interface {
	Passed() bool
	Count() int
}

// Print writes the JSON line.
func Print(w io.Writer, o Outcome) error { return json.NewEncoder(w).Encode(o) }

// Kitshub gives the program to judge: the one named, one beside this program, or one built for the occasion (always so for sabotage).
// cleanup removes what was built.
func Kitshub(ctx context.Context, o Options) (binary string, cleanup func() error, err error) {
	nothing := func() error { return nil }
	if o.Binary != "" && !o.Sabotage {
		path, err := filepath.Abs(o.Binary)
		return path, nothing, err
	}
	if self, err := os.Executable(); err == nil && !o.Sabotage {
		beside := filepath.Join(filepath.Dir(self), "kitshub")
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nothing, nil
		}
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return "", nothing, err
	}
	dir, err := os.MkdirTemp("", "kitshub-proof-bin-")
	if err != nil {
		return "", nothing, err
	}
	cleanup = func() error { return os.RemoveAll(dir) }
	binary = filepath.Join(dir, "kitshub")
	if err := build(ctx, o, root, binary); err != nil {
		return "", nothing, errors.Join(err, cleanup())
	}
	return binary, cleanup, nil
}

// build makes the program in the project's bin/judged, where the next check finds it up to date and need not link it again, and gives a copy: who
// changes the source while a check runs changes nothing under it.
func build(ctx context.Context, o Options, root, binary string) (err error) {
	kept := filepath.Join(root, "bin", "judged", "kitshub")
	args := []string{"build", "-buildvcs=false", "-ldflags", "-s -w"} // a commit changes nothing in it
	if o.Sabotage {
		kept += "-sabotage"
		args = append(args, "-tags", "sabotage")
	}
	if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil { //nolint:gosec // as bin is
		return err
	}
	lock := flock.New(kept + ".lock") // of tests side by side one links, the others wait
	if _, err := lock.TryLockContext(ctx, 50*time.Millisecond); err != nil {
		return fmt.Errorf("wait for another build of kitshub: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	args = append(args, "-o", kept, "./cmd/kitshub")
	fmt.Fprintf(o.Log, "building kitshub: go %s\n", strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // our own arguments
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build kitshub: %w\n%s", err, out)
	}
	program, err := os.ReadFile(kept) //nolint:gosec // our own path
	if err != nil {
		return err
	}
	return os.WriteFile(binary, program, 0o755) //nolint:gosec // it is to be run
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	root := filepath.Dir(strings.TrimSpace(string(out)))
	if err != nil || root == "." || root == "/dev" {
		return "", errors.New("no kitshub beside this program and no source to build it from; name one by -bin, or run this in the project's folder")
	}
	return root, nil
}

// Median gives the middle of some numbers, the lower one of two.
func Median[T int | int64 | float64](all []T) T {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[(len(sorted)-1)/2]
}
