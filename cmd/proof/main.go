// Command proof shows the project's figures: each check drives the built kitshub from outside, compares, counts violations, and ends with one
// line of JSON on standard output. It exits 0 only when nothing was violated and all the work asked for was done. With -sabotage it switches
// the check's planted bug in and must then report violations; `proof sabotage` runs all checks so, small, and exits 0 only if each found its bug.
//
//	go run ./cmd/proof kill9 -n 50 -engine postgres
//	go run ./cmd/proof golden-copy -n 50 -strict
//	go run ./cmd/proof sabotage
//	go run ./cmd/proof list
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/kitshub/kitshub/internal/proof/burst"
	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/crossconnect"
	"github.com/kitshub/kitshub/internal/proof/forecast"
	"github.com/kitshub/kitshub/internal/proof/goldencopy"
	"github.com/kitshub/kitshub/internal/proof/handover"
	"github.com/kitshub/kitshub/internal/proof/indexstart"
	"github.com/kitshub/kitshub/internal/proof/kill9"
	"github.com/kitshub/kitshub/internal/proof/orphans"
	"github.com/kitshub/kitshub/internal/proof/place"
	"github.com/kitshub/kitshub/internal/proof/placehttp"
	"github.com/kitshub/kitshub/internal/proof/placekit"
	"github.com/kitshub/kitshub/internal/proof/placemodel"
	"github.com/kitshub/kitshub/internal/proof/streams"
	"github.com/kitshub/kitshub/internal/proof/workerkill"
)

// Exit codes: 1 also when less was done than asked.
const (
	exitPassed = 0
	exitFailed = 1
	exitUsage  = 2
)

// proof is one check.
type proof struct {
	name    string
	unit    string
	n       int // by default
	caught  int // the n at which its planted bug is surely found
	engines []string
	run     func(context.Context, check.Options) (check.Outcome, error)
	flags   func(*flag.FlagSet) // of this check alone, or nil
}

var forecastFlags forecast.Flags

var proofs = []proof{
	{
		name: "kill9", unit: "kills", n: 20, caught: 6, engines: []string{check.SQLite, check.Postgres},
		run: func(ctx context.Context, o check.Options) (check.Outcome, error) { return kill9.Run(ctx, o) },
	},
	{
		name: "golden-copy", unit: "databases made each way", n: 20, caught: 2, engines: []string{check.SQLite},
		run: func(ctx context.Context, o check.Options) (check.Outcome, error) { return goldencopy.Run(ctx, o) },
	},
	{
		name: "forecast", unit: "customers of each world", n: 5000, caught: 1000, engines: []string{check.SQLite},
		run: func(ctx context.Context, o check.Options) (check.Outcome, error) {
			return forecast.Run(ctx, o, forecastFlags)
		},
		flags: forecastFlags.Register,
	},
	{
		name: "place", unit: "requests pending", n: 1_000_000, caught: 5000, engines: []string{check.Postgres, check.SQLite},
		run: func(ctx context.Context, o check.Options) (check.Outcome, error) { return place.Run(ctx, o) },
	},
	{
		name: "place-http", unit: "requests pending", n: 1_000_000, caught: 2000, engines: []string{check.Postgres, check.SQLite},
		run: func(ctx context.Context, o check.Options) (check.Outcome, error) { return placehttp.Run(ctx, o) },
	},
	{
		name: "place-model", unit: "moves", n: 5000, caught: 200, engines: []string{check.Postgres},
		run: func(ctx context.Context, o check.Options) (check.Outcome, error) { return placemodel.Run(ctx, o) },
	},
	{
		name: "index-start", unit: "requests pending", n: 1_000_000, caught: 1000, engines: []string{check.Postgres, check.SQLite},
		run: func(ctx context.Context, o check.Options) (check.Outcome, error) { return indexstart.Run(ctx, o) },
	},
	{
		name: "streams", unit: "open streams", n: 10_000, caught: 200, engines: []string{check.SQLite, check.Postgres},
		run: func(ctx context.Context, o check.Options) (check.Outcome, error) { return streams.Run(ctx, o) },
	},
	{
		name: "cross-connect", unit: "customers, each of which tries all others", n: 10, caught: 3, engines: []string{check.Postgres},
		run: func(ctx context.Context, o check.Options) (check.Outcome, error) { return crossconnect.Run(ctx, o) },
	},
	{
		name: "handover", unit: "sign-ups, one after the other", n: 20, caught: 3, engines: []string{check.Postgres},
		run: func(ctx context.Context, o check.Options) (check.Outcome, error) { return handover.Run(ctx, o) },
	},
	{
		name: "burst", unit: "sign-ups within ten seconds", n: 20, caught: 5, engines: []string{check.Postgres},
		run: func(ctx context.Context, o check.Options) (check.Outcome, error) { return burst.Run(ctx, o) },
	},
	{
		name: "orphans", unit: "kills", n: 10, caught: 3, engines: []string{check.Postgres},
		run: func(ctx context.Context, o check.Options) (check.Outcome, error) { return orphans.Run(ctx, o) },
	},
	{
		name: "worker-kill", unit: "kills", n: 10, caught: 1, engines: []string{check.Postgres},
		run: func(ctx context.Context, o check.Options) (check.Outcome, error) { return workerkill.Run(ctx, o) },
	},
}

func main() {
	if placekit.ServeIfBare() {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, out, log io.Writer) int {
	if len(args) == 0 {
		usage(log)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		usage(out)
		return exitPassed
	case "list":
		for _, p := range proofs {
			fmt.Fprintf(out, "%s\t%s\tn counts %s\n", p.name, strings.Join(p.engines, ","), p.unit)
		}
		return exitPassed
	case "sabotage":
		return sabotage(ctx, args[1:], out, log)
	}
	for _, p := range proofs {
		if p.name == args[0] {
			return p.prove(ctx, args[1:], out, log)
		}
	}
	fmt.Fprintf(log, "There is no check %q.\n\n", args[0])
	usage(log)
	return exitUsage
}

// prove runs one check by its flags.
func (p proof) prove(ctx context.Context, args []string, out, log io.Writer) int {
	o := check.Options{Log: log}
	flags := flag.NewFlagSet("proof "+p.name, flag.ContinueOnError)
	flags.SetOutput(log)
	flags.StringVar(&o.Engine, "engine", p.engines[0], "engine of the hub's own database: "+strings.Join(p.engines, " or "))
	flags.IntVar(&o.N, "n", p.n, "how many "+p.unit)
	flags.Int64Var(&o.Seed, "seed", 1, "same seed, same plan of work")
	flags.BoolVar(&o.Sabotage, "sabotage", false, "switch the planted bug in; violations must be found")
	flags.BoolVar(&o.Strict, "strict", false, "a missed speed target is a violation")
	flags.StringVar(&o.Binary, "bin", "", "the kitshub to judge (default: the one beside this program, else built)")
	if p.flags != nil {
		p.flags(flags)
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitPassed
		}
		return exitUsage
	}
	if flags.NArg() > 0 || o.N < 1 || (o.Engine != check.SQLite && o.Engine != check.Postgres) {
		fmt.Fprintln(log, "Give an -n of 1 or more, an -engine of sqlite or postgres, and nothing else.")
		return exitUsage
	}
	res, err := p.run(ctx, o)
	if err != nil {
		fmt.Fprintf(log, "%s could not be run to its end: %v\n", p.name, err)
	}
	if perr := check.Print(out, res); perr != nil || err != nil || !res.Passed() {
		return exitFailed
	}
	return exitPassed
}

// sabotage runs every check with its planted bug; one that finds nothing is broken.
func sabotage(ctx context.Context, args []string, out, log io.Writer) int {
	flags := flag.NewFlagSet("proof sabotage", flag.ContinueOnError)
	flags.SetOutput(log)
	engine := flags.String("engine", "", "only this engine (default: each check's own)")
	seed := flags.Int64("seed", 1, "same seed, same plan of work")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	code := exitPassed
	for _, p := range proofs {
		for _, e := range p.engines {
			if *engine != "" && *engine != e {
				continue
			}
			res, err := p.run(ctx, check.Options{Engine: e, N: p.caught, Seed: *seed, Sabotage: true, Log: log})
			if perr := check.Print(out, res); perr != nil {
				err = errors.Join(err, perr)
			}
			switch {
			case res.Count() > 0:
				fmt.Fprintf(log, "%s on %s found its planted bug.\n", p.name, e)
			case err != nil:
				fmt.Fprintf(log, "%s on %s could not be run: %v\n", p.name, e, err)
				code = exitFailed
			default:
				fmt.Fprintf(log, "%s on %s did NOT find its planted bug: the check is worth nothing.\n", p.name, e)
				code = exitFailed
			}
		}
	}
	return code
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "proof <check> [-engine sqlite|postgres] [-n N] [-seed S] [-sabotage] [-strict] [-bin kitshub]\nproof sabotage [-engine E]\nproof list\n\nChecks:")
	for _, p := range proofs {
		fmt.Fprintf(w, "  %-12s on %s; n counts %s\n", p.name, strings.Join(p.engines, " and "), p.unit)
	}
}
