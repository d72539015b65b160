package webui

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

const (
	recordLife = 10 * time.Second // strangers may ask for the record, and it is counted over a month
	fewKept    = 20               // fewer than that say little, and are said to
)

// recordView is how often the first forecasts were kept.
type recordView struct {
	Rows []recordRow
	AsOf time.Time
}

// recordRow is a plan, or all of them.
type recordRow struct {
	Name  string
	All   bool
	Cells []recordCell
}

// recordCell is one promise ("started within p50") over each time.
type recordCell struct {
	Label  string
	Aim    int // percent
	Shares []share
}

// share is how much of a promise was kept, in words and as a bar.
type share struct {
	Days    int
	Kept    int
	Of      int
	Percent string
	Bar     float64 // percent
	Aim     int     // percent
	Few     bool
	None    string // in place of all that, where nobody can be counted
}

// promises are the columns of the record, in their order. Only who found everybody busy counts for the start: that no wait is none is easily
// told.
var promises = []struct {
	label string
	aim   int
	none  string
	of    func(hub.ForecastKept) (kept, of int)
}{
	{"Started within p50", 50, "nobody had to wait", func(k hub.ForecastKept) (int, int) { return k.WaitedP50, k.Waited }},
	{"Started within p90", 90, "nobody had to wait", func(k hub.ForecastKept) (int, int) { return k.WaitedP90, k.Waited }},
	{"Ready within p50", 50, "none is ready yet", func(k hub.ForecastKept) (int, int) { return k.ReadyP50, k.Ready }},
	{"Ready within p90", 90, "none is ready yet", func(k hub.ForecastKept) (int, int) { return k.ReadyP90, k.Ready }},
}

// records keeps the record for a moment, so that a page everybody may load costs the database one count.
type records struct {
	mu   sync.Mutex
	read time.Time
	last []hub.ForecastRecord
}

func (u *ui) forecastRecords(ctx context.Context) ([]hub.ForecastRecord, error) {
	k := &u.records
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last != nil && time.Since(k.read) < recordLife {
		return k.last, nil
	}
	all, err := u.Service.ForecastRecords(ctx)
	if err == nil {
		k.last, k.read = all, time.Now()
	}
	return all, err
}

func (u *ui) forecastPage(w http.ResponseWriter, r *http.Request) error {
	all, err := u.forecastRecords(r.Context())
	if err != nil {
		return err
	}
	return u.render(w, http.StatusOK, "forecast_page", frame{Title: "How good are our forecasts?", Class: "record", View: u.recordView(all)})
}

// recordView lays the record out by plan, in the order of the catalog, plans that are gone behind.
func (u *ui) recordView(all []hub.ForecastRecord) recordView {
	var v recordView
	cat := u.Service.Catalog()
	var plans []string
	sums := make([]hub.ForecastKept, len(all))
	for i, r := range all {
		v.AsOf = r.AsOf
		for _, k := range r.Plans {
			sums[i].Add(k)
			if !slices.Contains(plans, k.Plan) {
				plans = append(plans, k.Plan)
			}
		}
	}
	rank := func(id string) int {
		if i := slices.IndexFunc(cat.Plans, func(p hub.Plan) bool { return p.ID == id }); i >= 0 {
			return i
		}
		return len(cat.Plans)
	}
	slices.SortStableFunc(plans, func(a, b string) int { return rank(a) - rank(b) })
	for _, id := range plans {
		row := recordRow{Name: id}
		if p, ok := cat.Plan(id); ok {
			row.Name = p.Name
		}
		kept := make([]hub.ForecastKept, len(all))
		for i, r := range all {
			if at := slices.IndexFunc(r.Plans, func(k hub.ForecastKept) bool { return k.Plan == id }); at >= 0 {
				kept[i] = r.Plans[at]
			}
		}
		row.fill(all, kept)
		v.Rows = append(v.Rows, row)
	}
	if len(plans) > 1 {
		row := recordRow{Name: "All plans", All: true}
		row.fill(all, sums)
		v.Rows = append(v.Rows, row)
	}
	return v
}

func (row *recordRow) fill(all []hub.ForecastRecord, kept []hub.ForecastKept) {
	for _, p := range promises {
		c := recordCell{Label: p.label, Aim: p.aim}
		for i, r := range all {
			n, of := p.of(kept[i])
			c.Shares = append(c.Shares, shareOf(r.Days, p.aim, n, of, p.none))
		}
		row.Cells = append(row.Cells, c)
	}
}

func shareOf(days, aim, kept, of int, none string) share {
	if of == 0 {
		return share{Days: days, None: none}
	}
	return share{Days: days, Aim: aim, Kept: kept, Of: of, Percent: percent(kept, of), Bar: math.Round(1000*float64(kept)/float64(of)) / 10, Few: of < fewKept}
}

// percent rounds, but says 0 and 100 only where it is none and all.
func percent(n, of int) string {
	p := int(math.Round(100 * float64(n) / float64(of)))
	switch {
	case p == 0 && n > 0:
		p = 1
	case p == 100 && n < of:
		p = 99
	}
	return fmt.Sprintf("%d %%", p)
}
