package hub

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/forecast"
)

// Hours are the operators' working hours through a week, in one time zone.
type Hours struct {
	zone  *time.Location
	spans [7][]span // by weekday, Sunday first
}

type span struct{ from, to time.Duration } // since midnight by the wall clock

// horizon is how far working hours are announced to the forecast.
const horizon = 14 * 24 * time.Hour

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseHours reads "Mon-Fri 09:00-17:00, Sat 10:00-14:00; Europe/Berlin": days and times, then the time zone (without it UTC). The empty
// text is nil: no working hours are set.
func ParseHours(text string) (*Hours, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	days, zone, _ := strings.Cut(text, ";")
	h := &Hours{zone: time.UTC}
	if z := strings.TrimSpace(zone); z != "" {
		var err error
		if h.zone, err = time.LoadLocation(z); err != nil {
			return nil, fmt.Errorf("there is no time zone %q", shorten(z))
		}
	}
	for part := range strings.SplitSeq(days, ",") {
		f := strings.Fields(part)
		if len(f) != 2 {
			return nil, fmt.Errorf("%q is not of the form Mon-Fri 09:00-17:00", shorten(strings.TrimSpace(part)))
		}
		which, err := parseDays(f[0])
		if err != nil {
			return nil, err
		}
		s, err := parseSpan(f[1])
		if err != nil {
			return nil, err
		}
		for _, d := range which {
			h.spans[d] = append(h.spans[d], s)
		}
	}
	for d := range h.spans {
		slices.SortFunc(h.spans[d], func(a, b span) int { return int(a.from - b.from) })
	}
	return h, nil
}

func parseDays(s string) ([]int, error) {
	from, to, ranged := strings.Cut(strings.ToLower(s), "-")
	if !ranged {
		to = from
	}
	a, b := slices.Index(weekdays, from), slices.Index(weekdays, to)
	if a < 0 || b < 0 {
		return nil, fmt.Errorf("%q is no day or range of days; use Mon, Tue … or Mon-Fri", shorten(s))
	}
	days := []int{a}
	for d := a; d != b; {
		d = (d + 1) % 7
		days = append(days, d)
	}
	return days, nil
}

func parseSpan(s string) (span, error) {
	from, to, ok := strings.Cut(s, "-")
	a, err1 := time.Parse("15:04", from)
	b, err2 := time.Parse("15:04", to)
	if to == "24:00" {
		b, err2 = time.Date(0, 1, 2, 0, 0, 0, 0, time.UTC), nil
	}
	zero := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	if !ok || err1 != nil || err2 != nil || !b.After(a) {
		return span{}, fmt.Errorf("%q is no time span; use 09:00-17:00", shorten(s))
	}
	return span{a.Sub(zero), b.Sub(zero)}, nil
}

// Changes says whether operators work now, and when that changes within the next two weeks: staff servers come at an opening, none are left
// at a closing.
func (h *Hours) Changes(now time.Time, staff int) (open bool, changes []forecast.Change) {
	local := now.In(h.zone)
	for day := -1; day <= int(horizon/(24*time.Hour)); day++ {
		date := local.AddDate(0, 0, day)
		at := func(d time.Duration) time.Time { // by the wall clock, also over a change to or from summer time
			return time.Date(date.Year(), date.Month(), date.Day(), int(d.Hours()), int(d.Minutes())%60, 0, 0, h.zone)
		}
		for _, s := range h.spans[date.Weekday()] {
			from, to := at(s.from), at(s.to)
			if !from.After(now) && to.After(now) {
				open = true
			}
			if from.After(now) {
				changes = append(changes, forecast.Change{At: from, Servers: staff})
			}
			if to.After(now) {
				changes = append(changes, forecast.Change{At: to, Servers: 0})
			}
		}
	}
	slices.SortStableFunc(changes, func(a, b forecast.Change) int { return a.At.Compare(b.At) })
	return open, changes
}
