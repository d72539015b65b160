package cli

import (
	"time"

	"github.com/kitshub/kitshub/internal/app"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/proof/progress"
)

type reconcileCmd struct {
	output
	DryRun     bool `xor:"mode" help:"Only look; this is the default."`
	Adopt      bool `xor:"mode" help:"Give back what belongs to a tenant on record: let its logins in again, give a renamed database its name back, correct a place."`
	Quarantine bool `xor:"mode" help:"Shut orphans, so that nobody can log in; nothing is lost."`
	Drop       bool `xor:"mode" help:"Remove orphans: what no row leads to and is surely this hub's."`
	Seals      bool `default:"true" negatable:"" help:"Also look into each tenant's database whether the seal inside is its own."`
}

// Help is shown by --help.
func (reconcileCmd) Help() string {
	return "Example:\n  kitshub reconcile\n  kitshub reconcile --quarantine -o json\n\n" +
		"It holds what is on the clusters and in DATA_DIR against what is on record. It ends with 0 when nothing is left to do, else with 1. " +
		"It may run while the hub serves. With --adopt, --quarantine and --drop it also removes what was half made when a hub died."
}

type findingLine struct {
	Kind        string        `json:"kind"`
	What        hub.FoundKind `json:"what"`
	Provider    string        `json:"provider"`
	Place       string        `json:"place"`
	Name        string        `json:"name"`
	Tenant      string        `json:"tenant,omitempty"`
	Problem     string        `json:"problem"`
	Fix         string        `json:"fix,omitempty"`
	Quarantined bool          `json:"quarantined"`
	Done        string        `json:"done,omitempty"`
	Error       string        `json:"error,omitempty"`
}

type reconcileReport struct {
	Mode     hub.ReconcileMode `json:"mode"`
	Findings []findingLine     `json:"findings"`
	Left     int               `json:"left"`
	Unknown  []string          `json:"unknown"`
	Checked  struct {
		Things int `json:"things"`
		Rows   int `json:"rows"`
		Seals  int `json:"seals"`
	} `json:"checked"`
	AsOf time.Time `json:"as_of"`
}

// Run reports and mends, and fails while something is left.
func (c reconcileCmd) Run(e *env) error {
	return e.with(func(core *app.Core) error {
		var bar *progress.Bar
		o := hub.ReconcileOptions{Mode: c.mode(), Seals: c.Seals, Progress: func(done, total int) {
			if done == 1 {
				bar = progress.New(e.Err, "reading seals", total)
			}
			bar.Add(1)
		}}
		r, err := core.Service.Reconcile(e.ctx, hub.CLIActor(), o)
		if err != nil {
			return err
		}
		if err := c.show(e, o.Mode, r); err != nil {
			return err
		}
		for _, u := range r.Unknown {
			say(e.Stdio, "could not be looked at: %s", u)
		}
		switch left := r.Left(); {
		case left > 0:
			say(e.Stdio, "%d thing(s) left to do.", left)
			return errDone{}
		case len(r.Findings) > 0:
			say(e.Stdio, "nothing is left to do.")
		default:
			say(e.Stdio, "what is there and what is on record agree.")
		}
		return nil
	})
}

func (c reconcileCmd) mode() hub.ReconcileMode {
	switch {
	case c.Adopt:
		return hub.ReconcileAdopt
	case c.Quarantine:
		return hub.ReconcileQuarantine
	case c.Drop:
		return hub.ReconcileDrop
	}
	return hub.ReconcileDryRun
}

func (c reconcileCmd) show(e *env, mode hub.ReconcileMode, r *hub.Reconciliation) error {
	out := reconcileReport{Mode: mode, Findings: make([]findingLine, len(r.Findings)), Left: r.Left(), Unknown: append([]string{}, r.Unknown...), AsOf: r.AsOf.UTC()}
	out.Checked.Things, out.Checked.Rows, out.Checked.Seals = r.Seen, r.Rows, r.Seals
	rows := make([][]string, len(r.Findings))
	for i, f := range r.Findings {
		out.Findings[i] = findingLine{f.Kind, f.What, f.Provider, f.Place, f.Name, f.Tenant, f.Problem, f.Fix, f.Quarantined, f.Done, f.Error}
		next := f.Fix
		switch {
		case f.Done != "":
			next = "It was " + f.Done + "."
		case f.Error != "":
			next = "Not done: " + f.Error
		case f.Quarantined:
			next = "It is in quarantine. " + f.Fix
		}
		rows[i] = []string{f.Kind, string(f.What), f.Place, f.Tenant, f.Problem, next}
	}
	if c.Output != "json" && len(rows) == 0 {
		return nil
	}
	return c.print(e.Out, out, []string{"KIND", "WHAT", "PLACE", "TENANT", "PROBLEM", "NEXT"}, rows)
}
