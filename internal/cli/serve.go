package cli

import (
	"fmt"
	"net"

	"github.com/kitshub/kitshub/internal/app"
	"github.com/kitshub/kitshub/internal/config"
	"github.com/kitshub/kitshub/internal/obs"
)

type serveCmd struct{}

// Help is shown by --help.
func (serveCmd) Help() string {
	return "Example:\n  DATA_DIR=./data kitshub serve\n  DATABASE_URL=postgres://localhost/hub kitshub serve"
}

// Run serves until the context ends.
func (serveCmd) Run(e *env) error {
	cfg, err := e.config()
	if err != nil {
		return err
	}
	out := obs.NewWriter(e.Err)
	defer func() { _ = out.Close() }() // nobody is left to tell
	log := obs.NewLogger(out, cfg.LogLevel, cfg.LogFormat)
	a, err := app.New(e.ctx, cfg, log, Version())
	if err != nil {
		return err
	}
	return a.Run(e.ctx, func(addr net.Addr, setup string) { e.welcome(cfg, addr, setup) })
}

// welcome says where to look. It is for the person at the terminal, so it is not a log line, and the one-time link is in no log.
func (e *env) welcome(cfg *config.Config, addr net.Addr, setup string) {
	base := cfg.PublicURL
	if cfg.PublicURLDerived {
		base = config.URLFor(addr.String())
	}
	where := "SQLite in " + cfg.DataDir
	if cfg.Engine() == config.Postgres {
		where = "Postgres"
	}
	switch {
	case cfg.TenantProvider == config.Postgres:
		where += "; customers' databases on Postgres"
	case cfg.Engine() == config.Postgres:
		where += "; customers' databases in " + cfg.DataDir
	}
	text := fmt.Sprintf("\n  KiTS Hub %s is ready (%s)\n\n  Sign-up   %s/\n  Console   %s/console\n  API docs  %s/docs\n", Version(), where, base, base, base)
	if setup != "" {
		text += fmt.Sprintf("\n  There is no operator yet. This link makes the first one (once, within 30 minutes):\n  %s\n", setup)
	}
	fmt.Fprintln(e.Err, text) //nolint:errcheck // nobody is left to tell
}
