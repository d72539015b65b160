package httpapi

import (
	"context"
	"math"
	"time"

	"github.com/kitshub/kitshub/internal/forecast"
	"github.com/kitshub/kitshub/internal/hub"
)

type waitDoc struct {
	P50   *int64         `json:"p50_seconds" doc:"Half of such waits are shorter; null when unknown." example:"1800"`
	P90   *int64         `json:"p90_seconds" doc:"Nine in ten are shorter; null when unknown." example:"5400"`
	Basis forecast.Basis `json:"basis" enum:"measured,prior,unknown" doc:"What the forecast rests on: measured times, an assumption until there are enough, or nothing honest to say." example:"measured"`
}

func waitOf(e hub.Estimate) waitDoc {
	d := waitDoc{Basis: e.Basis}
	if e.Basis != forecast.Unknown {
		p50, p90 := int64(math.Round(e.P50.Seconds())), int64(math.Ceil(e.P90.Seconds())) // up: a word that is kept to the second
		d.P50, d.P90 = &p50, &p90
	}
	return d
}

type progressDoc struct {
	Completed int `json:"completed" doc:"Steps done." example:"3"`
	Total     int `json:"total" doc:"Steps in all; 0 until they are planned." example:"12"`
	Percent   int `json:"percent" minimum:"0" maximum:"100" doc:"Rounded down." example:"25"`
}

type stepsDoc struct {
	progressDoc
	Steps []stepDoc `json:"steps" doc:"Each step, in order."`
}

type stepDoc struct {
	Name       string         `json:"name" doc:"The step's name." example:"inventory/0001_items"`
	Title      string         `json:"title" doc:"For people." example:"Set up Inventory"`
	Status     hub.StepStatus `json:"status" enum:"pending,running,done,failed" doc:"How far it is." example:"done"`
	StartedAt  *time.Time     `json:"started_at" doc:"When it began; null before." example:"2026-11-22T16:00:01Z"`
	FinishedAt *time.Time     `json:"finished_at" doc:"When it ended; null before." example:"2026-11-22T16:00:02Z"`
	Error      string         `json:"error,omitempty" doc:"Why it failed, fit for the customer." example:"We are looking into it."`
}

type whoDoc struct {
	CompanyName string `json:"company_name" doc:"As people write it." example:"O'Neil & Söhne"`
	ContactName string `json:"contact_name" doc:"Who we write to." example:"Ada Lovelace"`
	Email       string `json:"email" doc:"As we keep it." example:"ada@example.com"`
}

type statusDoc struct {
	Status    hub.State  `json:"status" enum:"pending,in_progress,credentials_received,migrating,completed,failed,cancelled" doc:"Where the request stands." example:"pending"`
	Plan      string     `json:"plan" doc:"The plan's id." example:"starter"`
	Position  int        `json:"position" doc:"1 is next; 0 when not pending." example:"3"`
	Ahead     int        `json:"ahead_in_queue" doc:"How many are served before; 0 when not pending." example:"2"`
	Hours     *float64   `json:"estimated_wait_hours" doc:"estimated_wait.p50_seconds in hours; null when unknown." example:"0.5"`
	Wait      waitDoc    `json:"estimated_wait" doc:"Until it starts; zero when not pending."`
	Ready     waitDoc    `json:"estimated_ready" doc:"Until it can be used."`
	Reason    string     `json:"reason,omitempty" doc:"Why it failed or why no forecast can be given." example:"Nobody is working the line right now."`
	RetryAt   *time.Time `json:"retry_at,omitempty" doc:"It failed, and the hub tries again by itself at this time." example:"2026-11-22T16:00:07Z"`
	Progress  stepsDoc   `json:"progress" doc:"How far the database is."`
	Details   bool       `json:"credentials_available" doc:"The connection details can be fetched, once." example:"false"`
	Customer  whoDoc     `json:"customer" doc:"Who waits."`
	CreatedAt time.Time  `json:"created_at" doc:"When it entered the line." example:"2026-11-22T16:00:00Z"`
	AsOf      time.Time  `json:"as_of" doc:"When this was true." example:"2026-11-22T16:00:02Z"`
}

func progressOf(p hub.Progress, s hub.State) progressDoc {
	d := progressDoc{Completed: p.Completed, Total: p.Total}
	switch {
	case s == hub.Completed:
		d.Percent = 100
	case p.Total > 0:
		d.Percent = 100 * p.Completed / p.Total
	}
	return d
}

func statusOf(s hub.Status) statusDoc {
	r := s.Request
	d := statusDoc{
		Status: r.State, Plan: r.Plan, Position: s.Position, Ahead: s.Ahead, Wait: waitOf(s.Wait), Ready: waitOf(s.Ready), Reason: s.Reason,
		Progress:  stepsDoc{progressOf(hub.ProgressOf(s.Steps), r.State), customerSteps(s.Steps)},
		Details:   r.State == hub.Completed && !s.Revealed,
		Customer:  whoDoc{r.Customer.CompanyName, r.Customer.ContactName, r.Customer.Email},
		CreatedAt: r.EnqueuedAt.UTC(), AsOf: s.AsOf.UTC(),
	}
	if r.State != hub.Pending { // nothing to wait for any more, whatever the forecast rests on
		d.Position, d.Ahead, d.Wait = 0, 0, waitOf(hub.Estimate{Basis: forecast.Measured})
	}
	if r.State == hub.Failed && r.Failure != nil {
		d.RetryAt = when(r.Failure.RetryAt)
	}
	if d.Wait.P50 != nil {
		h := math.Round(float64(*d.Wait.P50)/3600*100) / 100
		d.Hours = &h
	}
	return d
}

func customerSteps(steps []hub.StepRecord) []stepDoc {
	out := make([]stepDoc, 0, len(steps))
	for _, s := range steps {
		d := stepDoc{Name: s.Name, Title: s.Title, Status: s.Status, StartedAt: when(s.StartedAt), FinishedAt: when(s.FinishedAt)}
		if s.Failure != nil {
			d.Error = s.Failure.Customer
		}
		out = append(out, d)
	}
	return out
}

func status(c *call) (answer, error) {
	s, ok := c.Service.StatusInMemory(c.token)
	if !ok {
		defer c.bound()()
		var err error
		if s, err = c.Service.StatusOf(c.ctx, c.token); err != nil {
			return answer{}, err
		}
	}
	d := statusOf(s)
	c.buffer, _ = buffers.Get().(*[]byte)
	b := append((*c.buffer)[:0], `{"success":true,"data":`...)
	*c.buffer = append(appendStatus(b, &d), "}\n"...)
	return answer{body: *c.buffer}, nil
}

func cancelByCustomer(c *call) (answer, error) {
	return effect(c, func(ctx context.Context) (*hub.Request, error) { return c.Service.CancelByCustomer(ctx, c.token) }, func(r *hub.Request) answer {
		return answer{data: placeDoc{r.ID, r.State, r.Priority, r.Plan, list(r.Features), r.EnqueuedAt.UTC()}}
	})
}

type credentialsDoc struct {
	URL string            `json:"url" doc:"What your program connects with." example:"file:/srv/kitshub/tenants/t_0000.db"`
	Env map[string]string `json:"env" doc:"The same as environment variables, ready to paste."`
}

func credentialsOf(k hub.Credentials) answer {
	env := k.Env
	if env == nil {
		env = map[string]string{}
	}
	return answer{data: credentialsDoc{URL: k.URL, Env: env}}
}

func revealToCustomer(c *call) (answer, error) {
	k, err := c.Service.RevealToCustomer(c.ctx, c.token)
	if err != nil {
		return answer{}, err
	}
	return credentialsOf(k), nil
}
