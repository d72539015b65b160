package httpapi

import (
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

type reconcileDoc struct {
	Findings []findingDoc `json:"findings" doc:"What does not agree."`
	Left     int          `json:"left" doc:"How many of them, with what could not be looked at, still need somebody." example:"0"`
	Unknown  []string     `json:"unknown" doc:"What could not be looked at, and why." example:"[]"`
	AsOf     time.Time    `json:"as_of" doc:"When this was so." example:"2026-11-22T16:00:02Z"`
}

type findingDoc struct {
	Kind        string        `json:"kind" enum:"orphan,ghost,mismatch" doc:"There and on no record; on record and not there; or the two do not agree." example:"orphan"`
	What        hub.FoundKind `json:"what" enum:"database,login,build" doc:"What it is." example:"database"`
	Provider    string        `json:"provider" doc:"Where it is." example:"postgres"`
	Place       string        `json:"place" doc:"Which database it is or belongs to." example:"main/kh_aaaaaaaaaaaaaaaaaaaaaaaaaa"`
	Name        string        `json:"name" doc:"What it is called there." example:"kh_aaaaaaaaaaaaaaaaaaaaaaaaaa"`
	Tenant      string        `json:"tenant,omitempty" doc:"Whom the record, the marker or the seal names." example:"ten_01ja8w1x5q0000000000000000"`
	Problem     string        `json:"problem" doc:"What is wrong." example:"A login whose database is gone."`
	Fix         string        `json:"fix,omitempty" doc:"The next step." example:"The hub removes it by itself within minutes; kitshub reconcile --drop does it now."`
	Quarantined bool          `json:"quarantined" doc:"Nobody can log in; it waits for a decision." example:"false"`
}

// reconcile only looks, and into no database; the command line mends.
func reconcile(c *call) (answer, error) {
	r, err := c.Service.Reconcile(c.ctx, c.actor, hub.ReconcileOptions{Mode: hub.ReconcileDryRun})
	if err != nil {
		return answer{}, err
	}
	d := reconcileDoc{Findings: make([]findingDoc, 0, len(r.Findings)), Left: r.Left(), Unknown: append([]string{}, r.Unknown...), AsOf: r.AsOf.UTC()}
	for _, f := range r.Findings {
		d.Findings = append(d.Findings, findingDoc{f.Kind, f.What, f.Provider, f.Place, f.Name, f.Tenant, f.Problem, f.Fix, f.Quarantined})
	}
	return answer{data: d}, nil
}
