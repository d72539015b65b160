// Command kitshub onboards customers and gives each a database of their own. See `kitshub --help`.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/kitshub/kitshub/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := cli.Run(ctx, os.Args[1:], os.Environ(), cli.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}
