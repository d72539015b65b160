//go:build unix

// with-postgres runs a command with TEST_POSTGRES_URL set to a throwaway Postgres that lives as long as the command:
//
//	go run ./scripts/with-postgres go test ./...
//
// So all test packages of a run share one server and its migrated templates, instead of starting one each. When the
// variable is set already, the command gets the server it names. -durable keeps fsync on.
//
// With -file the variable says "file:" and the path of a file that holds the address. The path is the same in every
// run, while the address has a new port and password each time; so `go test`, which remembers the variables a test
// has read, can keep results that are still true.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/kitshub/kitshub/internal/testkit/pgserver"
)

const variable = "TEST_POSTGRES_URL"

func main() {
	durable := flag.Bool("durable", false, "keep fsync on, as a production server has it")
	byFile := flag.Bool("file", false, "give the address in a file whose path stays the same")
	flag.Parse()
	os.Exit(run(*durable, *byFile, flag.Args()))
}

func run(durable, byFile bool, args []string) int {
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: with-postgres [-durable] [-file] command [arguments]")
		return 2
	}
	// Ctrl-C reaches the command by itself, since it is in the terminal's group; we wait for it and then clean up.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	env := os.Environ()
	if os.Getenv(variable) == "" {
		server, err := pgserver.Start(ctx, pgserver.Options{Durable: durable, Logf: say})
		if err != nil {
			say("%v", err)
			return 1
		}
		defer func() {
			if err := server.Stop(); err != nil {
				say("%v", err)
			}
		}()
		address := server.URL
		if byFile {
			path, release, err := addressFile(address)
			if err != nil {
				say("%v", err)
				return 1
			}
			defer release()
			address = "file:" + path
		}
		env = append(env, variable+"="+address)
	}

	cmd := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // running a given command is the purpose
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Env = env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode()
	default:
		say("%v", err)
		return 1
	}
}

// addressFile writes the address into this user's cache directory, under a name that belongs to the working directory.
// Where that is not possible, or another run holds the file, it takes a name of its own: that costs the caching only.
func addressFile(address string) (path string, release func(), err error) {
	f, err := heldFile()
	held := err == nil
	if !held {
		if f, err = os.CreateTemp("", "kitshub-postgres-address-"); err != nil {
			return "", nil, err
		}
	}
	release = func() {
		// A held file stays, empty: removing it would pull it from under a run that has just opened it.
		_ = f.Truncate(0)
		if !held {
			_ = os.Remove(f.Name())
		}
		_ = f.Close() // ends the hold
	}
	if _, err := f.WriteString(address); err != nil {
		release()
		return "", nil, err
	}
	return f.Name(), release, nil
}

// heldFile opens the file that belongs to this directory and holds it, so that a second run sees it is taken.
func heldFile() (*os.File, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	here, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, "kitshub-test")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(here))
	f, err := os.OpenFile(filepath.Join(dir, "postgres-"+hex.EncodeToString(sum[:6])), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, f.Truncate(0)
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "with-postgres: "+format+"\n", args...) }
