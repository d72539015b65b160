package httpapi

import (
	"fmt"
	"strconv"
	"time"

	"github.com/kitshub/kitshub/internal/forecast"
	"github.com/kitshub/kitshub/internal/httpapi/wire"
	"github.com/kitshub/kitshub/internal/hub"
)

type recordDoc struct {
	Days  int             `json:"days" doc:"How far back." example:"7"`
	Plans []recordPlanDoc `json:"plans" doc:"By plan; a plan that nobody was started of is left out."`
	Total recordCountsDoc `json:"total" doc:"All plans together."`
	AsOf  time.Time       `json:"as_of" doc:"When this was counted." example:"2026-11-22T16:00:02Z"`
}

type recordPlanDoc struct {
	Plan string `json:"plan" doc:"The plan." example:"basic"`
	recordCountsDoc
}

type recordCountsDoc struct {
	Started       int      `json:"started" doc:"Requests that were started and had been given a forecast." example:"120"`
	Waited        int      `json:"waited" doc:"Of those, the ones that found every server busy; the shares below count only these, since no wait is easily told." example:"90"`
	StartWithin50 *float64 `json:"start_within_p50" doc:"Share of them that started within the first p50; null when nobody waited." example:"0.52"`
	StartWithin90 *float64 `json:"start_within_p90" doc:"Share of them that started within the first p90; null when nobody waited." example:"0.91"`
	Ready         int      `json:"ready" doc:"Requests of the started ones that are ready." example:"118"`
	ReadyWithin50 *float64 `json:"ready_within_p50" doc:"Share of those that were ready within the first p50; null when none is." example:"0.5"`
	ReadyWithin90 *float64 `json:"ready_within_p90" doc:"Share of those that were ready within the first p90; null when none is." example:"0.9"`
}

func countsOf(k hub.ForecastKept) recordCountsDoc {
	share := func(n, of int) *float64 {
		if of == 0 {
			return nil
		}
		s := float64(n) / float64(of)
		return &s
	}
	return recordCountsDoc{
		Started: k.Started, Waited: k.Waited, StartWithin50: share(k.WaitedP50, k.Waited), StartWithin90: share(k.WaitedP90, k.Waited),
		Ready: k.Ready, ReadyWithin50: share(k.ReadyP50, k.Ready), ReadyWithin90: share(k.ReadyP90, k.Ready),
	}
}

// forecastRecord shows how often the first forecasts were kept. It is public.
func forecastRecord(c *call) (answer, error) {
	records, err := c.Service.ForecastRecords(c.ctx)
	if err != nil {
		return answer{}, err
	}
	out := make([]recordDoc, len(records))
	for i, r := range records {
		out[i] = recordDoc{Days: r.Days, Plans: []recordPlanDoc{}, AsOf: r.AsOf.UTC()}
		var all hub.ForecastKept
		for _, k := range r.Plans {
			out[i].Plans = append(out[i].Plans, recordPlanDoc{k.Plan, countsOf(k)})
			all.Add(k)
		}
		out[i].Total = countsOf(all)
	}
	return answer{data: out}, nil
}

type whatIfDoc struct {
	Way     hub.Way       `json:"provisioning" enum:"automatic,operator" doc:"Who makes the backends of this part of the line."`
	Servers int           `json:"servers" doc:"Working under the question." example:"3"`
	Now     int           `json:"servers_now" doc:"Working now." example:"1"`
	Waiting int           `json:"waiting" doc:"Who waits now." example:"40"`
	Asked   whatIfTimeDoc `json:"asked" doc:"For somebody who joins behind all of them, under the question."`
	AsIs    whatIfTimeDoc `json:"as_is" doc:"The same with those who work now and the announced changes."`
}

type whatIfTimeDoc struct {
	Start waitDoc `json:"estimated_wait" doc:"Until it starts."`
	Ready waitDoc `json:"estimated_ready" doc:"Until it is ready."`
	Why   string  `json:"reason,omitempty" doc:"Why nothing can be said." example:"Nobody is working the line right now."`
}

func whatIfOf(a forecast.Answer) whatIfTimeDoc {
	return whatIfTimeDoc{waitOf(hub.Estimate{P50: a.Start.P50, P90: a.Start.P90, Basis: a.Basis}), waitOf(hub.Estimate{P50: a.Ready.P50, P90: a.Ready.P90, Basis: a.Basis}), a.Why}
}

// whatIf answers how the line would move under another staffing.
func whatIf(c *call) (answer, error) {
	q := wire.ReadQuery(c.r)
	st := hub.Staffing{Operators: count(q, "operators"), Pool: count(q, "pool")}
	if err := q.Err(); err != nil {
		return answer{}, err
	}
	ways, err := c.Service.WhatIf(c.ctx, st)
	if err != nil {
		return answer{}, err
	}
	out := make([]whatIfDoc, len(ways))
	for i, w := range ways {
		out[i] = whatIfDoc{w.Way, w.Servers, w.Now, w.Waiting, whatIfOf(w.Next), whatIfOf(w.AsIs)}
	}
	return answer{data: out}, nil
}

// count gives a number that is not negative, or −1 when it is not given.
func count(q *wire.Query, name string) int {
	v := q.Text(name)
	if v == "" {
		return -1
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		q.Refuse(name, fmt.Sprintf("%s is not a number from 0 on.", name), "Ask about a whole number of them.")
		return -1
	}
	return n
}
