package webui

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/forecast"
	"github.com/kitshub/kitshub/internal/hub"
)

// took says a duration that was measured: exact where that is interesting, round where it is not.
func took(d time.Duration) string {
	switch s := d.Seconds(); {
	case d < 0:
		return "0 s"
	case s < 0.0995:
		return fmt.Sprintf("%d ms", max(1, d.Round(time.Millisecond).Milliseconds()))
	case s < 0.995:
		return fmt.Sprintf("%.2f s", s)
	case s < 9.95:
		return fmt.Sprintf("%.1f s", s)
	}
	return rough(d)
}

// rough says a duration as people would: one unit, or hours with minutes.
func rough(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < 90*time.Second:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 90*time.Minute:
		return fmt.Sprintf("%d min", int(math.Round(d.Minutes())))
	case d < 36*time.Hour:
		h, m := int(d.Hours()), int(d.Minutes())%60
		if m == 0 {
			return fmt.Sprintf("%d h", h)
		}
		return fmt.Sprintf("%d h %d min", h, m)
	}
	return fmt.Sprintf("%d days", int(math.Round(d.Hours()/24)))
}

// span says a forecast: from what half of such waits stay below, to what nine in ten do.
func span(p50, p90 time.Duration) string {
	low, high := rough(up(p50)), rough(up(p90))
	switch {
	case p90 < time.Second:
		return "less than a second"
	case low == high:
		return "about " + high
	case p50 < time.Second:
		return "up to " + high
	}
	if n, unit, ok := strings.Cut(low, " "); ok && strings.HasSuffix(high, " "+unit) && strings.Count(high, " ") == 1 {
		return n + "–" + high // 1–5 s rather than 1 s – 5 s
	}
	return low + " – " + high
}

// spanInWords says the same with the units spelled out, for people who are not at home here.
func spanInWords(p50, p90 time.Duration) string {
	low, high := spelled(up(p50)), spelled(up(p90))
	switch {
	case p90 < time.Second:
		return "less than a second"
	case low == high:
		return "about " + high
	case p50 < time.Second:
		return "up to " + high
	}
	if n, unit, _ := strings.Cut(low, " "); strings.HasSuffix(high, " "+unit) && strings.Count(high, " ") == 1 {
		low = n // 2 to 5 seconds
	}
	return low + " to " + high
}

var units = map[string][2]string{"s": {"second", "seconds"}, "min": {"minute", "minutes"}, "h": {"hour", "hours"}}

// spelled is rough with its units spelled out.
func spelled(d time.Duration) string {
	words := strings.Fields(rough(d))
	for i, w := range words {
		u, ok := units[w]
		switch {
		case !ok:
		case words[i-1] == "1":
			words[i] = u[0]
		default:
			words[i] = u[1]
		}
	}
	return strings.Join(words, " ")
}

// soon says how far off something is.
func soon(d time.Duration) string {
	if d < time.Second {
		return "at once"
	}
	return rough(up(d))
}

// wentBack says why a place went back, by the hub's codes.
var wentBack = map[string]string{
	hub.HigherPriorityJoined: "A company with a higher plan joined before you.",
	hub.EarlierReturned:      "A company that signed up earlier came back into the line before you.",
	hub.PriorityChanged:      "The order was changed: your request has another priority now.",
}

// up rounds up to what a person would say, since a promise that is a little too long disappoints nobody.
func up(d time.Duration) time.Duration {
	unit := time.Second
	switch {
	case d > 90*time.Minute:
		unit = 5 * time.Minute
	case d > 90*time.Second:
		unit = time.Minute
	case d > 20*time.Second: // finer would only flicker
		unit = 5 * time.Second
	}
	return (d + unit - 1).Truncate(unit)
}

// basis says in words what a forecast rests on.
func basis(b forecast.Basis) string {
	switch b {
	case forecast.Measured:
		return "Measured on the sign-ups before yours: half are faster than the first figure, nine in ten faster than the second."
	case forecast.Prior:
		return "Assumed, not measured yet: too few sign-ups have been timed so far."
	case forecast.Unknown:
	}
	return ""
}

// stateWord names a state for people.
func stateWord(s hub.State) string {
	switch s {
	case hub.Pending:
		return "Waiting"
	case hub.InProgress:
		return "In hand"
	case hub.CredentialsReceived:
		return "Starting"
	case hub.Migrating:
		return "Setting up"
	case hub.Completed:
		return "Ready"
	case hub.Failed:
		return "Failed"
	case hub.Cancelled:
		return "Cancelled"
	}
	return string(s)
}

// number groups thousands with a thin space, which reads the same in every language.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u2009" + s[i:]
	}
	return s
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// shorten keeps what comes from outside readable, whatever was sent.
func shorten(s string, limit int) string {
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}

// icons are our own, drawn on a grid of 16 with a line of 1.5.
var icons = map[string]string{
	"check":    `<path d="M3.5 8.5l3 3 6-7"/>`,
	"cross":    `<path d="M4.5 4.5l7 7m0-7l-7 7"/>`,
	"alert":    `<path d="M8 2.2l6.3 11.3H1.7zM8 6.5v3.2M8 11.8v.1"/>`,
	"clock":    `<circle cx="8" cy="8" r="6"/><path d="M8 4.8V8l2.2 1.6"/>`,
	"bolt":     `<path d="M8.8 1.8L3.5 9h4l-.4 5.2L12.5 7h-4z"/>`,
	"person":   `<circle cx="8" cy="5" r="2.7"/><path d="M2.8 14c.4-3 2.4-4.5 5.2-4.5s4.8 1.5 5.2 4.5"/>`,
	"lock":     `<rect x="3.2" y="7" width="9.6" height="6.8" rx="1.6"/><path d="M5.2 7V5.2a2.8 2.8 0 015.6 0V7"/>`,
	"database": `<ellipse cx="8" cy="3.8" rx="5.2" ry="2"/><path d="M2.8 3.8v8.4c0 1.1 2.3 2 5.2 2s5.2-.9 5.2-2V3.8M2.8 8c0 1.1 2.3 2 5.2 2s5.2-.9 5.2-2"/>`,
	"arrow":    `<path d="M3 8h10m-4-4l4 4-4 4"/>`,
	"mail":     `<rect x="1.8" y="3.2" width="12.4" height="9.6" rx="1.6"/><path d="M2.2 4.5L8 9l5.8-4.5"/>`,
	"search":   `<circle cx="7" cy="7" r="4.6"/><path d="M10.5 10.5l3.3 3.3"/>`,
	"copy":     `<rect x="5.2" y="5.2" width="8.6" height="8.6" rx="1.6"/><path d="M10.8 5V3.8a1.6 1.6 0 00-1.6-1.6H3.8a1.6 1.6 0 00-1.6 1.6v5.4a1.6 1.6 0 001.6 1.6H5"/>`,
	"line":     `<path d="M5.5 4h8M5.5 8h8M5.5 12h8M2.5 4h.1M2.5 8h.1M2.5 12h.1"/>`,
	"dot":      `<circle cx="8" cy="8" r="2.2"/>`,
}

func icon(name string) template.HTML {
	return template.HTML(`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">` + icons[name] + `</svg>`) //nolint:gosec // only our own constants
}
