//go:build unix

// Package handover shows what the warm pool and the templates save over running the enterprise plan's SQL in a new database, and what a customer
// sees of it. All of it happens on one server that syncs what it commits, in one run, the ways taking turns; figures are medians.
//
// First the database work alone, with the product's own parts (statements_…, template_…, handover_…):
//
//	by statements   what people do by script: CREATE DATABASE, connect, then every statement of the catalog by itself
//	cold            the provider's whole Create from the template: lock, roles, CREATE DATABASE … TEMPLATE, rights, marker, opening
//	hand-over       the provider's whole HandOver of a member of the pool: one statement, one commit
//	sealed          the hand-over and what the pipeline does beside it: reseal as the owner, probe as the tenant, on new connections
//
// Nothing is dropped, since no sign-up follows a drop, which forces a checkpoint. Before each the server writes out what the one before left in
// memory, so that none waits for the disk on another's account.
//
// ratio_to_statements and template_ratio hold the first against the third and second. Every database that was handed over is compared with the
// catalog's text (internal/proof/inspect), with the customer's own login.
//
// Then the whole product, as a process: customers sign up one after the other at a hub whose pool is full, to an automatic plan with every feature there
// is. ready_… is from the sign-up's answer until GET /status, asked again and again, says completed, which is after seal and probe. Beside that stands
// what the hub says itself (hubs_own_…, from before the answer).
//
// Last the refill: copies made by hand with CREATE DATABASE … TEMPLATE, four at a time, of the hub's own template, before and after; and in between as
// many by a hub that starts with room for them in its pool, by its own record of when the first was begun and the last was ready. refill_ratio is the
// hub's rate by the raw one. The hub's databases have roles, rights, checks, seal and probe beside the copy, and it leaves the server room to breathe.
//
// The planted bug is a template that lacks a table while its ledger is complete: the hub's own probe, which trusts the ledger, does not see it.
package handover

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/pgkit"
)

// Result is the JSON line. Times are milliseconds, ratios how many times as fast.
type Result struct {
	check.Report
	ReadyP50    float64 `json:"ready_p50_ms"`
	ReadyP99    float64 `json:"ready_p99_ms"`
	ReadyMax    float64 `json:"ready_max_ms"`
	HubsP50     float64 `json:"hubs_own_ready_p50_ms"`
	HubsP99     float64 `json:"hubs_own_ready_p99_ms"`
	FromPool    int     `json:"from_pool"`
	Ratio       float64 `json:"ratio_to_statements"`
	Template    float64 `json:"template_ratio"`
	Sealed      float64 `json:"sealed_ratio"`
	Refill      float64 `json:"refill_ratio"`
	StatementMS float64 `json:"statements_ms_p50"`
	TemplateMS  float64 `json:"template_ms_p50"`
	HandOverMS  float64 `json:"handover_ms_p50"`
	SealedMS    float64 `json:"sealed_ms_p50"`
	RawPerMin   float64 `json:"raw_per_min"`
	MadePerMin  float64 `json:"made_per_min"`
	Statements  int     `json:"statements"`
	Compared    int     `json:"compared"`
	Verified    int     `json:"verified"`
}

// The targets, held only with -strict.
const (
	strictRatio    = 60
	strictTemplate = 5
	strictRefill   = 0.6
	strictP50      = 50
	strictP99      = 200
)

const (
	plan     = "everything"
	poolSize = 4

	// The database work is repeated less often than the whole path: its slow way takes half a second, and a median needs no hundreds.
	fewestRounds = 3
	mostRounds   = 20

	readyWithin = 2 * time.Minute
	fillWithin  = 4 * time.Minute
)

// Run has o.N customers sign up, after a number of rounds of the database work that follows from it.
func Run(ctx context.Context, o check.Options) (_ *Result, err error) {
	res := &Result{}
	res.Begin("handover", o)
	if o.Engine != check.Postgres {
		return res, errors.New("only tenants on Postgres have a pool and templates; use -engine postgres")
	}
	w, err := pgkit.NewWorld(ctx, o, pgkit.Options{
		Plans: []pgkit.Plan{{ID: plan, Features: pgkit.Everything}}, Server: map[string]string{"min_wal_size": strconv.Itoa(walFiles*walFileMB) + "MB"},
	})
	defer func() { err = errors.Join(err, w.Close()) }()
	if err != nil {
		return res, err
	}
	if err := makeWAL(ctx, w); err != nil {
		return res, err
	}
	if err := res.databaseWork(ctx, o, w); err != nil {
		return res, err
	}
	if err := res.wholePath(ctx, o, w); err != nil {
		return res, err
	}
	if err := res.refill(ctx, o, w); err != nil {
		return res, err
	}
	if o.Strict {
		res.targets()
	}
	return res, nil
}

// A server that has been at work writes its log over files that are there already. A new one first has to fill each with zeros and sync it, which
// costs a copy of a template several times what it costs otherwise, and a baseline of many small commits nothing.
const (
	walFiles  = 96
	walFileMB = 16
)

// makeWAL begins as many files of the log as all that is measured will fill, and gives them free.
func makeWAL(ctx context.Context, w *pgkit.World) error {
	for range walFiles {
		if _, err := w.Super.ExecContext(ctx, `SELECT pg_logical_emit_message(false, 'proof', '')`); err != nil {
			return fmt.Errorf("make the server's log: %w", err)
		}
		if _, err := w.Super.ExecContext(ctx, `SELECT pg_switch_wal()`); err != nil {
			return fmt.Errorf("make the server's log: %w", err)
		}
	}
	return writeOut(ctx, w)
}

// writeOut has the server write to the disk what it has only in memory, and is done before each thing that is timed: else one would wait for the
// disk on account of the one before.
func writeOut(ctx context.Context, w *pgkit.World) error {
	if _, err := w.Super.ExecContext(ctx, `CHECKPOINT`); err != nil {
		return fmt.Errorf("have the server write out what it has: %w", err)
	}
	return nil
}

func (r *Result) targets() {
	for _, t := range []struct {
		name      string
		got, want float64
		most      bool
	}{
		{"ratio_to_statements", r.Ratio, strictRatio, false},
		{"template_ratio", r.Template, strictTemplate, false},
		{"refill_ratio", r.Refill, strictRefill, false},
		{"ready_p50_ms", r.ReadyP50, strictP50, true},
		{"ready_p99_ms", r.ReadyP99, strictP99, true},
	} {
		if t.most && t.got > t.want {
			r.Violate("%s is %.2f, more than %.2f", t.name, t.got, t.want)
		}
		if !t.most && t.got < t.want {
			r.Violate("%s is %.2f, less than %.2f", t.name, t.got, t.want)
		}
	}
}

func ms(d time.Duration) float64 { return round(float64(d) / float64(time.Millisecond)) }

func round(x float64) float64 { return float64(int64(x*1000+0.5)) / 1000 }
