package httpapi

import (
	"slices"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/httpapi/wire"
	"github.com/kitshub/kitshub/internal/hub"
)

type failureDoc struct {
	Step   string    `json:"step" doc:"The step that failed." example:"inventory/0002_stock"`
	Class  hub.Class `json:"class" enum:"network,auth,quota,data,catalog,bug" doc:"What kind of trouble it is." example:"catalog"`
	Code   string    `json:"code,omitempty" doc:"The database's own code." example:"SQLITE_ERROR"`
	File   string    `json:"file,omitempty" doc:"The catalog's file." example:"features/inventory/0002_stock.sqlite.sql"`
	Line   int       `json:"line,omitempty" doc:"The line in it." example:"12"`
	Cause  string    `json:"cause" doc:"What the database said." example:"no such table: items"`
	Action string    `json:"action" doc:"The safe next step." example:"Correct the file, then retry; it resumes at this step."`
	Tries  int       `json:"tries" doc:"How often the step was tried." example:"1"`

	RetryAt *time.Time `json:"retry_at" doc:"When the hub tries again by itself; null when it does not." example:"2026-11-22T16:02:08Z"`
	Retries int        `json:"retries" doc:"How often it has tried again by itself." example:"0"`
}

func failureOf(f *hub.Failure) *failureDoc {
	if f == nil {
		return nil
	}
	return &failureDoc{f.Step, f.Class, f.Code, f.File, f.Line, f.Cause, f.Action, f.Tries, when(f.RetryAt), f.Retries}
}

type requestDoc struct {
	ID           string      `json:"id" doc:"The request's id." example:"req_01ja8w1x5q0000000000000000"`
	Status       hub.State   `json:"status" enum:"pending,in_progress,credentials_received,migrating,completed,failed,cancelled" doc:"Where it stands." example:"in_progress"`
	Priority     int         `json:"priority" minimum:"0" maximum:"2" doc:"0 normal, 1 high, 2 urgent." example:"2"`
	Plan         string      `json:"plan" doc:"The plan's id." example:"enterprise"`
	Features     []string    `json:"features" doc:"All that is set up, in order." example:"[\"core\",\"inventory\"]"`
	Provisioning hub.Way     `json:"provisioning" enum:"automatic,operator" doc:"Who makes the database." example:"operator"`
	Customer     customerDoc `json:"customer" doc:"Who waits."`
	AssignedTo   *string     `json:"assigned_to" doc:"An operator's id, auto for the hub itself, null for nobody." example:"opr_01ja8w1x5q0000000000000000"`
	AssigneeName string      `json:"assigned_to_name,omitempty" doc:"The assignee's name." example:"Grace Hopper"`
	TenantID     *string     `json:"tenant_id" doc:"Set with the credentials." example:"ten_01ja8w1x5q0000000000000000"`
	OperationID  string      `json:"operation_id,omitempty" doc:"The long work that this call began; follow it at /api/v1/operations/{id}." example:"op_01ja8w1x5q0000000000000000"`
	Notes        string      `json:"notes" doc:"The operators' own." example:"Called back on Monday."`

	BillingCycle        string `json:"billing_cycle" enum:"monthly,yearly" doc:"How often to bill." example:"monthly"`
	ReferralSource      string `json:"referral_source,omitempty" doc:"How they found us." example:"a friend"`
	SpecialRequirements string `json:"special_requirements,omitempty" doc:"What else we should know." example:"Please import our old stock list."`

	CreatedAt     time.Time   `json:"created_at" doc:"When it entered the line." example:"2026-11-22T16:00:00Z"`
	ClaimedAt     *time.Time  `json:"claimed_at" doc:"When it was claimed." example:"2026-11-22T16:01:00Z"`
	CredentialsAt *time.Time  `json:"credentials_at" doc:"When its backend was given." example:"2026-11-22T16:02:00Z"`
	StartedAt     *time.Time  `json:"started_at" doc:"When the pipeline began." example:"2026-11-22T16:02:01Z"`
	FinishedAt    *time.Time  `json:"finished_at" doc:"When it ended." example:"2026-11-22T16:02:03Z"`
	UpdatedAt     time.Time   `json:"updated_at" doc:"When it last changed." example:"2026-11-22T16:02:03Z"`
	OverdueAt     *time.Time  `json:"overdue_at" doc:"When it is overdue by the plan; null for never." example:"2026-11-23T16:00:00Z"`
	Overdue       bool        `json:"overdue" doc:"It is past that time and not ready." example:"false"`
	Failure       *failureDoc `json:"failure,omitempty" doc:"Why it failed; kept while the hub tries again by itself."`
}

func requestOf(r *hub.Request) requestDoc {
	d := requestDoc{
		ID: r.ID, Status: r.State, Priority: r.Priority, Plan: r.Plan, Features: list(r.Features), Provisioning: r.Way,
		Customer:   customerDoc{r.CustomerID, r.Customer.Email, r.Customer.CompanyName, r.Customer.ContactName},
		AssignedTo: text(r.AssignedTo), AssigneeName: r.AssigneeName, TenantID: text(r.TenantID), OperationID: r.OperationID, Notes: r.Notes,
		BillingCycle: r.BillingCycle, ReferralSource: r.ReferralSource, SpecialRequirements: r.SpecialRequirements,
		CreatedAt: r.EnqueuedAt.UTC(), ClaimedAt: when(r.ClaimedAt), CredentialsAt: when(r.CredentialsAt), StartedAt: when(r.StartedAt),
		FinishedAt: when(r.FinishedAt), UpdatedAt: r.UpdatedAt.UTC(), OverdueAt: when(r.OverdueAt), Failure: failureOf(r.Failure),
	}
	d.Overdue = r.OverdueAt != nil && !r.State.Final() && r.OverdueAt.Before(time.Now())
	return d
}

// text shows an empty text as null.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

type requestDetailDoc struct {
	requestDoc
	Position int               `json:"position" doc:"1 is next; 0 when not pending." example:"1"`
	Ahead    int               `json:"ahead_in_queue" doc:"How many are served before." example:"0"`
	Wait     waitDoc           `json:"estimated_wait" doc:"Until it starts."`
	Ready    waitDoc           `json:"estimated_ready" doc:"Until it can be used."`
	Progress operatorStepsView `json:"progress" doc:"How far the database is."`
	AsOf     time.Time         `json:"as_of" doc:"When this was true." example:"2026-11-22T16:00:02Z"`
}

type operatorStepsView struct {
	progressDoc
	Steps []operatorStepDoc `json:"steps" doc:"Each step, in order."`
}

type operatorStepDoc struct {
	Seq        int            `json:"seq" doc:"Its place." example:"3"`
	Name       string         `json:"name" doc:"The step's name." example:"inventory/0001_items"`
	Kind       hub.StepKind   `json:"kind" enum:"create,identity,migrate,seed,check,probe" doc:"What it does." example:"migrate"`
	Title      string         `json:"title" doc:"For people." example:"Set up Inventory"`
	Status     hub.StepStatus `json:"status" enum:"pending,running,done,failed" doc:"How far it is." example:"done"`
	StartedAt  *time.Time     `json:"started_at" doc:"When it began; null before." example:"2026-11-22T16:02:01Z"`
	FinishedAt *time.Time     `json:"finished_at" doc:"When it ended; null before." example:"2026-11-22T16:02:02Z"`
	Tries      int            `json:"tries" doc:"How often it was tried." example:"1"`
	Failure    *failureDoc    `json:"failure,omitempty" doc:"Why it failed."`
}

func operatorSteps(steps []hub.StepRecord) []operatorStepDoc {
	out := make([]operatorStepDoc, 0, len(steps))
	for _, s := range steps {
		out = append(out, operatorStepDoc{s.Seq, s.Name, s.Kind, s.Title, s.Status, when(s.StartedAt), when(s.FinishedAt), s.Tries, failureOf(s.Failure)})
	}
	return out
}

func requestDetailOf(s hub.Status) requestDetailDoc {
	customer := statusOf(s)
	return requestDetailDoc{
		requestDoc: requestOf(&s.Request), Position: customer.Position, Ahead: customer.Ahead, Wait: customer.Wait, Ready: customer.Ready,
		Progress: operatorStepsView{customer.Progress.progressDoc, operatorSteps(s.Steps)}, AsOf: customer.AsOf,
	}
}

func requests(c *call) (answer, error) {
	q := wire.ReadQuery(c.r)
	states := []string{"all"}
	for _, s := range hub.States {
		states = append(states, string(s))
	}
	var ids []string
	for _, p := range c.Service.Catalog().Plans {
		ids = append(ids, p.ID)
	}
	f := hub.RequestFilter{State: hub.State(q.OneOf("status", states...)), Plan: q.OneOf("plan", ids...), AssignedTo: assignee(q, c.actor), Query: strings.TrimSpace(q.Text("q"))}
	if f.State == "all" {
		f.State = ""
	}
	overdue := q.OneOf("overdue", "true", "false") == "true"
	limit := q.Limit()
	f.Limit = limit + 1
	var at hub.LineKey
	if q.Cursor(&at, func() bool {
		return wire.GoodID(at.ID, "req_") && at.Priority >= 0 && at.Priority <= 2 && !at.EnqueuedAt.IsZero()
	}) {
		f.After = &at
	}
	if err := q.Err(); err != nil {
		return answer{}, err
	}
	rows, err := c.Service.ListRequests(c.ctx, f, overdue)
	if err != nil {
		return answer{}, err
	}
	rows, next := wire.Page(rows, limit, func(r *hub.Request) any { return r.Key() })
	out := make([]requestDoc, 0, len(rows))
	for _, r := range rows {
		out = append(out, requestOf(r))
	}
	return answer{data: out, next: next}, nil
}

// assignee reads assigned_to: an operator's or token's id, auto, or me.
func assignee(q *wire.Query, me hub.Actor) string {
	v := q.Text("assigned_to")
	switch {
	case v == "me":
		return me.ID
	case v == "" || v == hub.AutoAssignee || slices.ContainsFunc([]string{"opr_", "tok_"}, func(p string) bool { return wire.GoodID(v, p) }):
		return v
	}
	q.Refuse("assigned_to", "assigned_to is no operator's id.", "Use an operator's id, me, or auto for the hub itself.")
	return ""
}

func request(c *call) (answer, error) {
	id, err := wire.PathID(c.r, "request", "req_")
	if err != nil {
		return answer{}, err
	}
	s, err := c.Service.StatusByID(c.ctx, id)
	if err != nil {
		return answer{}, err
	}
	return answer{data: requestDetailOf(s)}, nil
}

func steps(c *call) (answer, error) {
	id, err := wire.PathID(c.r, "request", "req_")
	if err != nil {
		return answer{}, err
	}
	s, err := c.Service.Steps(c.ctx, id)
	if err != nil {
		return answer{}, err
	}
	return answer{data: operatorSteps(s)}, nil
}
