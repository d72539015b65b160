package httpapi

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/forecast"
	"github.com/kitshub/kitshub/internal/httpapi/wire"
	"github.com/kitshub/kitshub/internal/hub"
)

// The status document that is written by hand is the one that encoding/json would write.
func TestStatusAsJSON(t *testing.T) {
	g := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		sameJSON(t, statusOf(anyStatus(g)))
	}
}

func FuzzStatusAsJSON(f *testing.F) {
	f.Add("O'Neil & Söhne <b>", "\u2028\x00\xff\"\\", int64(0))
	f.Fuzz(func(t *testing.T, company, reason string, n int64) {
		s := anyStatus(rand.New(rand.NewPCG(uint64(n), 0))) //nolint:gosec // any seed will do
		s.Request.Customer.CompanyName, s.Reason = company, reason
		sameJSON(t, statusOf(s))
	})
}

func sameJSON(t *testing.T, d statusDoc) {
	t.Helper()
	want, err := wire.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if got := appendStatus([]byte("before"), &d); string(got) != "before"+string(want) {
		t.Fatalf("got  %s\nwant %s", got[len("before"):], want)
	}
}

func anyStatus(g *rand.Rand) hub.Status {
	s := hub.Status{
		Request: hub.Request{
			State: pick(g, hub.Pending, hub.InProgress, hub.Migrating, hub.Completed, hub.Failed, hub.Cancelled), Plan: anyText(g), EnqueuedAt: anyTime(g),
			Customer: hub.CustomerRef{CompanyName: anyText(g), ContactName: anyText(g), Email: anyText(g)},
		},
		Position: g.IntN(2_000_000), Ahead: g.IntN(2_000_000), Wait: anyEstimate(g), Ready: anyEstimate(g), Revealed: g.IntN(2) == 0, AsOf: anyTime(g),
		Reason: pick(g, "", "", anyText(g)),
	}
	again := anyTime(g)
	s.Request.Failure = pick(g, nil, &hub.Failure{}, &hub.Failure{RetryAt: &again})
	for range g.IntN(4) {
		at := anyTime(g)
		r := hub.StepRecord{Status: pick(g, hub.StepPending, hub.StepRunning, hub.StepDone, hub.StepFailed), StartedAt: pick(g, nil, &at), FinishedAt: pick(g, nil, &at)}
		r.Name, r.Title = anyText(g), anyText(g)
		if g.IntN(3) == 0 {
			r.Failure = &hub.Failure{Customer: anyText(g)}
		}
		s.Steps = append(s.Steps, r)
	}
	return s
}

func anyEstimate(g *rand.Rand) hub.Estimate {
	longest := pick(g, time.Second, time.Hour, 200*365*24*time.Hour)
	return hub.Estimate{
		P50: time.Duration(g.Int64N(int64(longest))), P90: time.Duration(g.Int64N(int64(longest))),
		Basis: pick(g, forecast.Measured, forecast.Prior, forecast.Unknown),
	}
}

func anyTime(g *rand.Rand) time.Time {
	unit := pick(g, time.Second, time.Millisecond, time.Microsecond)
	at := time.UnixMicro(g.Int64N(253402300800_000_000)).Truncate(unit) // up to the end of year 9999
	return pick(g, at.UTC(), at.In(time.FixedZone("", 3600)), time.Time{})
}

func anyText(g *rand.Rand) string {
	pieces := []string{
		"plain", "O'Neil & Söhne", "<b>", `"`, `\`, "/", "\x00", "\x1f", "\x7f", "\b\f\n\r\t", "\u2027\u2028\u2029\u202a", "\ufffd", "\xff", "\xe2\x80", "漢字", "🙂", "\xed\xa0\x80",
	}
	var text []byte
	for range g.IntN(6) {
		text = append(text, pieces[g.IntN(len(pieces))]...)
	}
	return string(text)
}

func pick[T any](g *rand.Rand, of ...T) T { return of[g.IntN(len(of))] }
