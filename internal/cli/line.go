package cli

import (
	"errors"
	"strconv"
	"time"

	"github.com/kitshub/kitshub/internal/app"
	"github.com/kitshub/kitshub/internal/hub"
)

type requestsCmd struct {
	List requestsListCmd `cmd:"" help:"List the line in its order."`
}

type requestsListCmd struct {
	output
	page
	Status string `enum:"all,pending,in_progress,credentials_received,migrating,completed,failed,cancelled" default:"all" help:"Only requests in this state: ${enum}."`
}

// page bounds a listing.
type page struct {
	Limit int `default:"50" help:"At most so many; where there are more, it says so."`
}

// Validate is called by the parser.
func (p page) Validate() error {
	if p.Limit < 1 {
		return errors.New("--limit must be 1 or more")
	}
	return nil
}

// ask is one more than is shown, which tells whether there are more.
func (p page) ask() int { return max(p.Limit, p.Limit+1) } // where that is no number any more, so many cannot be there

// shown gives the part of an answer to ask that is shown, and says so where it is not all.
func shown[T any](e *env, p page, all []T) []T {
	if len(all) <= p.Limit {
		return all
	}
	say(e.Stdio, "these are the first %d, and there are more: --limit shows as many as it says.", p.Limit)
	return all[:p.Limit]
}

// Help is shown by --help.
func (requestsListCmd) Help() string {
	return "Example:\n  kitshub requests list --status pending -o json"
}

type requestLine struct {
	ID         string    `json:"id"`
	Company    string    `json:"company_name"`
	Plan       string    `json:"plan"`
	Priority   int       `json:"priority"`
	Status     hub.State `json:"status"`
	AssignedTo string    `json:"assigned_to"`
	CreatedAt  time.Time `json:"created_at"`
}

// Run lists them.
func (c requestsListCmd) Run(e *env) error {
	return e.with(func(core *app.Core) error {
		state := hub.State(c.Status)
		if c.Status == "all" {
			state = ""
		}
		rs, err := core.Service.ListRequests(e.ctx, hub.RequestFilter{State: state, Limit: c.ask()}, false)
		if err != nil {
			return err
		}
		rs = shown(e, c.page, rs)
		list := make([]requestLine, len(rs))
		rows := make([][]string, len(rs))
		for i, r := range rs {
			list[i] = requestLine{r.ID, r.Customer.CompanyName, r.Plan, r.Priority, r.State, r.AssignedTo, r.EnqueuedAt}
			rows[i] = []string{r.ID, r.Customer.CompanyName, r.Plan, strconv.Itoa(r.Priority), string(r.State), r.AssignedTo, r.EnqueuedAt.Format(time.RFC3339)}
		}
		return c.print(e.Out, list, []string{"ID", "COMPANY", "PLAN", "PRIORITY", "STATUS", "ASSIGNED TO", "SINCE"}, rows)
	})
}

type tenantsCmd struct {
	List tenantsListCmd `cmd:"" help:"List the customers' databases."`
}

type tenantsListCmd struct {
	output
	page
}

// Help is shown by --help.
func (tenantsListCmd) Help() string { return "Example:\n  kitshub tenants list -o json" }

type tenantLine struct {
	ID       string          `json:"id"`
	Company  string          `json:"company_name"`
	Status   hub.TenantState `json:"status"`
	Provider string          `json:"provider"`
	Place    string          `json:"place"`
	Catalog  string          `json:"catalog_version"`
	Size     int64           `json:"size_bytes"`
}

// Run lists them; secrets are never in a listing.
func (c tenantsListCmd) Run(e *env) error {
	return e.with(func(core *app.Core) error {
		ts, err := core.Service.Tenants(e.ctx, hub.TenantFilter{Limit: c.ask()})
		if err != nil {
			return err
		}
		ts = shown(e, c.page, ts)
		list := make([]tenantLine, len(ts))
		rows := make([][]string, len(ts))
		for i, t := range ts {
			list[i] = tenantLine{t.ID, t.Customer.CompanyName, t.State, t.Backend.Provider, t.Backend.Place, t.CatalogVersion, t.SizeBytes}
			rows[i] = []string{t.ID, t.Customer.CompanyName, string(t.State), t.Backend.Provider, t.Backend.Place, t.CatalogVersion, strconv.FormatInt(t.SizeBytes, 10)}
		}
		return c.print(e.Out, list, []string{"ID", "COMPANY", "STATUS", "PROVIDER", "PLACE", "CATALOG", "BYTES"}, rows)
	})
}

type migrateCmd struct{}

// Help is shown by --help.
func (migrateCmd) Help() string {
	return "Example:\n  DATABASE_URL=postgres://localhost/hub kitshub migrate"
}

// Run opens the data, which brings the schema up to date.
func (migrateCmd) Run(e *env) error {
	return e.with(func(core *app.Core) error {
		say(e.Stdio, "the hub's database (%s) is up to date.", core.Store.Engine())
		return nil
	})
}

type versionCmd struct{}

// Help is shown by --help.
func (versionCmd) Help() string { return "Example:\n  kitshub version" }

// Run prints the version.
func (versionCmd) Run(e *env) error { return writeLine(e.Out, Version()) }
