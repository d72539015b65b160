package httpapi

import (
	"time"

	"github.com/kitshub/kitshub/internal/httpapi/wire"
	"github.com/kitshub/kitshub/internal/hub"
)

type tenantDoc struct {
	ID             string          `json:"id" doc:"The tenant's id." example:"ten_01ja8w1x5q0000000000000000"`
	Status         hub.TenantState `json:"status" enum:"provisioning,active,suspended,offboarding,retained,purged,error" doc:"Its own life, apart from its request's." example:"active"`
	RequestID      string          `json:"request_id" doc:"The request it came from." example:"req_01ja8w1x5q0000000000000000"`
	Customer       customerDoc     `json:"customer" doc:"Whose it is."`
	Plan           string          `json:"plan" doc:"The plan's id." example:"starter"`
	Provider       string          `json:"provider" doc:"What made its database." example:"sqlite"`
	Generation     int64           `json:"generation" doc:"1 for its first database, one more for each new one." example:"1"`
	CatalogVersion string          `json:"catalog_version" doc:"The catalog it was made with." example:"9f86d081884c7d65"`
	SizeBytes      int64           `json:"size_bytes" doc:"Size of its database." example:"131072"`
	CreatedAt      time.Time       `json:"created_at" doc:"When it was planned." example:"2026-11-22T16:02:00Z"`
	ReadyAt        *time.Time      `json:"ready_at" doc:"When it was probed and handed over." example:"2026-11-22T16:02:03Z"`
	RevealedAt     *time.Time      `json:"revealed_at" doc:"When the customer took the connection details." example:"2026-11-22T16:10:00Z"`
}

func tenantOf(t *hub.Tenant) tenantDoc {
	return tenantDoc{
		ID: t.ID, Status: t.State, RequestID: t.RequestID,
		Customer: customerDoc{t.CustomerID, t.Customer.Email, t.Customer.CompanyName, t.Customer.ContactName},
		Plan:     t.Plan, Provider: t.Backend.Provider, Generation: t.Backend.Generation, CatalogVersion: t.CatalogVersion,
		SizeBytes: t.SizeBytes, CreatedAt: t.CreatedAt.UTC(), ReadyAt: when(t.ReadyAt), RevealedAt: when(t.RevealedAt),
	}
}

var tenantStates = []string{
	string(hub.TenantProvisioning), string(hub.TenantActive), string(hub.TenantSuspended), string(hub.TenantOffboarding),
	string(hub.TenantRetained), string(hub.TenantPurged), string(hub.TenantError),
}

func tenants(c *call) (answer, error) {
	q := wire.ReadQuery(c.r)
	limit := q.Limit()
	f := hub.TenantFilter{State: hub.TenantState(q.OneOf("status", append([]string{"all"}, tenantStates...)...)), After: q.IDCursor("ten_"), Limit: limit + 1}
	if f.State == "all" {
		f.State = ""
	}
	if err := q.Err(); err != nil {
		return answer{}, err
	}
	rows, err := c.Service.Tenants(c.ctx, f)
	if err != nil {
		return answer{}, err
	}
	rows, next := wire.Page(rows, limit, func(t *hub.Tenant) any { return t.ID })
	out := make([]tenantDoc, 0, len(rows))
	for _, t := range rows {
		out = append(out, tenantOf(t))
	}
	return answer{data: out, next: next}, nil
}

func tenant(c *call) (answer, error) {
	id, err := wire.PathID(c.r, "tenant", "ten_")
	if err != nil {
		return answer{}, err
	}
	t, err := c.Service.Tenant(c.ctx, id)
	if err != nil {
		return answer{}, err
	}
	return answer{data: tenantOf(t)}, nil
}

func reveal(c *call) (answer, error) {
	id, err := wire.PathID(c.r, "tenant", "ten_")
	if err != nil {
		return answer{}, err
	}
	k, err := c.Service.Reveal(c.ctx, c.actor, id)
	if err != nil {
		return answer{}, err
	}
	return credentialsOf(k), nil
}

type operationDoc struct {
	ID         string      `json:"id" doc:"The operation's id." example:"op_01ja8w1x5q0000000000000000"`
	Kind       string      `json:"kind" doc:"What is done." example:"provision"`
	Target     string      `json:"target" doc:"Id of what it is done to." example:"req_01ja8w1x5q0000000000000000"`
	Status     string      `json:"status" enum:"running,succeeded,failed" doc:"How it stands." example:"running"`
	Done       bool        `json:"done" doc:"It ended, well or not." example:"false"`
	Progress   progressDoc `json:"progress" doc:"How far it is."`
	Error      string      `json:"error,omitempty" doc:"Why it failed." example:"inventory/0002_stock: no such table: items"`
	CreatedAt  time.Time   `json:"created_at" doc:"When it began." example:"2026-11-22T16:02:00Z"`
	FinishedAt *time.Time  `json:"finished_at,omitempty" doc:"When it ended." example:"2026-11-22T16:02:03Z"`
}

func operation(c *call) (answer, error) {
	id, err := wire.PathID(c.r, "operation", "op_")
	if err != nil {
		return answer{}, err
	}
	o, err := c.Service.OperationView(c.ctx, id)
	if err != nil {
		return answer{}, err
	}
	state := hub.Migrating
	if o.Status == "succeeded" {
		state = hub.Completed
	}
	a := answer{data: operationDoc{
		ID: o.ID, Kind: o.Kind, Target: o.Target, Status: o.Status, Done: o.FinishedAt != nil, Progress: progressOf(o.Progress, state),
		Error: o.Error, CreatedAt: o.CreatedAt.UTC(), FinishedAt: when(o.FinishedAt),
	}}
	if o.FinishedAt == nil {
		a.retryAfter = "1"
	}
	return a, nil
}

type statsDoc struct {
	Pending             int            `json:"pending" doc:"Waiting." example:"12"`
	InProgress          int            `json:"in_progress" doc:"Claimed, without credentials yet." example:"2"`
	CredentialsReceived int            `json:"credentials_received" doc:"About to start." example:"0"`
	Migrating           int            `json:"migrating" doc:"Being set up." example:"1"`
	Failed              int            `json:"failed" doc:"Failed and not taken up yet." example:"0"`
	Completed           int            `json:"completed" doc:"Ready, ever." example:"250"`
	Cancelled           int            `json:"cancelled" doc:"Cancelled, ever." example:"3"`
	CompletedToday      int            `json:"completed_today" doc:"Ready since midnight UTC." example:"17"`
	FailedToday         int            `json:"failed_today" doc:"Failed since midnight UTC." example:"0"`
	Overdue             int            `json:"overdue" doc:"Past their time and not ready." example:"1"`
	AverageWait         float64        `json:"average_wait_seconds" doc:"From sign-up to claim, over the last 24 hours; 0 when nobody was claimed." example:"312.5"`
	OldestWait          float64        `json:"oldest_wait_seconds" doc:"How long the first one waits; 0 when nobody does." example:"901.2"`
	Throughput          float64        `json:"throughput_per_hour" doc:"Ready in the last hour." example:"4"`
	ByPriority          map[string]int `json:"pending_by_priority" doc:"Waiting, by priority 0, 1 and 2."`
	Pool                []poolDoc      `json:"pool" doc:"Databases of the warm pool by plan; empty where none are held ready."`
	AsOf                time.Time      `json:"as_of" doc:"When this was true." example:"2026-11-22T16:00:02Z"`
}

type poolDoc struct {
	Plan      string `json:"plan" doc:"The plan." example:"basic"`
	Ready     int    `json:"ready" doc:"Made, checked, probed and never handed out." example:"2"`
	Preparing int    `json:"preparing" doc:"Being made, or brought to the current catalog." example:"0"`
}

func stats(c *call) (answer, error) {
	s, err := c.Service.Stats(c.ctx)
	if err != nil {
		return answer{}, err
	}
	d := statsDoc{
		Pending: s.ByState[hub.Pending], InProgress: s.ByState[hub.InProgress], CredentialsReceived: s.ByState[hub.CredentialsReceived],
		Migrating: s.ByState[hub.Migrating], Failed: s.ByState[hub.Failed], Completed: s.ByState[hub.Completed], Cancelled: s.ByState[hub.Cancelled],
		CompletedToday: s.CompletedToday, FailedToday: s.FailedToday, Overdue: s.Overdue, AverageWait: seconds(s.AverageWait),
		Throughput: float64(s.CompletedHour), ByPriority: map[string]int{"0": s.Counts.Pending[0], "1": s.Counts.Pending[1], "2": s.Counts.Pending[2]}, AsOf: s.AsOf.UTC(),
		Pool: []poolDoc{},
	}
	for _, p := range s.Pool {
		d.Pool = append(d.Pool, poolDoc{p.Plan, p.Ready, p.Preparing})
	}
	if s.OldestPending != nil {
		d.OldestWait = seconds(max(0, s.AsOf.Sub(*s.OldestPending)))
	}
	return answer{data: d}, nil
}

// seconds shows a duration in seconds, to a millisecond.
func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

type auditDoc struct {
	ID        string         `json:"id" doc:"The entry's id." example:"aud_01ja8w1x5q0000000000000000"`
	At        time.Time      `json:"at" doc:"When it was done." example:"2026-11-22T16:01:00Z"`
	Actor     actorDoc       `json:"actor" doc:"Who did it."`
	Action    string         `json:"action" doc:"What was done." example:"request.claim"`
	Target    string         `json:"target" doc:"Id of what it was done to." example:"req_01ja8w1x5q0000000000000000"`
	Detail    map[string]any `json:"detail" doc:"More about it; never a secret."`
	RequestID string         `json:"request_id,omitempty" doc:"The X-Request-Id of the call." example:"call_01ja8w1x5q0000000000000000"`
}

type actorDoc struct {
	Kind hub.ActorKind `json:"kind" enum:"operator,token,customer,hub,cli" doc:"What kind of actor." example:"operator"`
	ID   string        `json:"id" doc:"The actor's id." example:"opr_01ja8w1x5q0000000000000000"`
	Name string        `json:"name" doc:"The actor's name." example:"Grace Hopper"`
}

func audit(c *call) (answer, error) {
	q := wire.ReadQuery(c.r)
	limit, before, target := q.Limit(), q.IDCursor("aud_"), q.Text("target")
	if err := q.Err(); err != nil {
		return answer{}, err
	}
	rows, err := c.Service.Audit(c.ctx, target, before, limit+1)
	if err != nil {
		return answer{}, err
	}
	rows, next := wire.Page(rows, limit, func(e *hub.AuditEntry) any { return e.ID })
	out := make([]auditDoc, 0, len(rows))
	for _, e := range rows {
		detail := e.Detail
		if detail == nil {
			detail = map[string]any{}
		}
		out = append(out, auditDoc{e.ID, e.At.UTC(), actorDoc{e.ActorKind, e.ActorID, e.ActorName}, e.Action, e.Target, detail, e.RequestID})
	}
	return answer{data: out, next: next}, nil
}
