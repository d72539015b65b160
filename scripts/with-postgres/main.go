//go:build unix

// with-postgres runs a command with TEST_POSTGRES_URL set to a throwaway Postgres that lives as long as the command:
//
//	go run ./scripts/with-postgres go test ./...
//
// So all test packages of a run share one server and its migrated templates, instead of starting one each. When the
// variable is set already, the command gets the server it names. -durable keeps fsync on.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/kitshub/kitshub/internal/testkit/pgserver"
)

const variable = "TEST_POSTGRES_URL"

func main() {
	durable := flag.Bool("durable", false, "keep fsync on, as a production server has it")
	flag.Parse()
	os.Exit(run(*durable, flag.Args()))
}

func run(durable bool, args []string) int {
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: with-postgres [-durable] command [arguments]")
		return 2
	}
	// Ctrl-C reaches the command by itself, since it is in the terminal's group; we wait for it and then clean up.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

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
		if err := os.Setenv(variable, server.URL); err != nil {
			say("%v", err)
			return 1
		}
	}

	cmd := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // running a given command is the purpose
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
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

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "with-postgres: "+format+"\n", args...) }
