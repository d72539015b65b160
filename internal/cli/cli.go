// Package cli is the command line: one file per command. It parses, calls app or hub, and speaks (voice.go); it decides nothing.
package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime/debug"

	"github.com/alecthomas/kong"

	"github.com/kitshub/kitshub/internal/app"
	"github.com/kitshub/kitshub/internal/config"
	"github.com/kitshub/kitshub/internal/obs"
)

// Stdio is where a command reads and writes: data on Out, talk on Err.
type Stdio struct {
	In       io.Reader
	Out, Err io.Writer
}

// Exit codes. config.ExitCode (78) is for a bad configuration.
const (
	exitOK    = 0
	exitFail  = 1
	exitUsage = 2
)

// version is set by the linker (-X); else it is what the build knows of itself.
var version string

// Version names this build.
func Version() string {
	if version != "" {
		return version
	}
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" && b.Main.Version != "(devel)" {
		return b.Main.Version
	}
	return "dev"
}

// commands is the whole command line: the struct tags are its help.
type commands struct {
	Serve     serveCmd     `cmd:"" help:"Run the hub until it is interrupted."`
	Demo      demoCmd      `cmd:"" help:"Sign up some customers on a throwaway hub and verify their databases from outside."`
	Doctor    doctorCmd    `cmd:"" help:"Look whether the hub has what it needs, and say what mends it."`
	Catalog   catalogCmd   `cmd:"" help:"Check and show plans and features."`
	Requests  requestsCmd  `cmd:"" help:"Look at the line."`
	Tenants   tenantsCmd   `cmd:"" help:"Look at the customers' databases."`
	Operators operatorsCmd `cmd:"" help:"Add people who work the line."`
	Tokens    tokensCmd    `cmd:"" help:"Make tokens for programs."`
	Reconcile reconcileCmd `cmd:"" help:"Hold what is on the clusters and on disk against what is on record, and mend it."`
	Migrate   migrateCmd   `cmd:"" help:"Bring the hub's own database up to date, and end."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
}

// env is what a command works with.
type env struct {
	Stdio
	ctx     context.Context
	environ []string
}

// Run runs one command and gives the exit code: 0 only if it did what it was asked.
func Run(ctx context.Context, args, environ []string, io Stdio) int {
	var c commands
	exited := -1
	parser, err := kong.New(&c, kong.Name("kitshub"), kong.Writers(io.Out, io.Err), kong.UsageOnError(),
		kong.Description("Onboarding and provisioning for software companies that give each customer a database of their own.\n\nSettings come from the environment; docs/config.md lists them."),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}))
	if err != nil {
		return fail(io, err)
	}
	k, err := parser.Parse(args)
	if exited >= 0 { // --help said it all
		return exited
	}
	if err != nil {
		say(io, "%v. See kitshub --help.", err)
		return exitUsage
	}
	e := &env{Stdio: io, ctx: ctx, environ: environ}
	if err := k.Run(e); err != nil {
		return fail(io, err)
	}
	return exitOK
}

// config reads and checks the settings.
func (e *env) config() (*config.Config, error) { return config.Load(e.environ) }

// core opens the hub's data for one command, beside a hub that may be serving.
func (e *env) core() (*app.Core, error) {
	cfg, err := e.config()
	if err != nil {
		return nil, err
	}
	return app.OpenCore(e.ctx, cfg, obs.NewLogger(e.Err, max(cfg.LogLevel, slog.LevelWarn), cfg.LogFormat))
}

// with opens the hub's data, runs f, and closes it.
func (e *env) with(f func(*app.Core) error) error {
	c, err := e.core()
	if err != nil {
		return err
	}
	return errors.Join(f(c), c.Close())
}

// lookup finds a variable of the command's environment.
func (e *env) lookup(name string) string {
	for i := len(e.environ) - 1; i >= 0; i-- {
		if k, v, ok := cut(e.environ[i]); ok && k == name {
			return v
		}
	}
	return ""
}

func cut(s string) (k, v string, ok bool) {
	for i := range s {
		if s[i] == '=' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}
