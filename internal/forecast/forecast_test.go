package forecast_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kitshub/kitshub/internal/forecast"
)

func repeat(d time.Duration, n int) []time.Duration { return slices.Repeat([]time.Duration{d}, n) }

var prior = forecast.Assumed{P50: 10 * time.Second, P90: 30 * time.Second}

func TestForecast(t *testing.T) {
	const s = time.Second
	type r = forecast.Range
	for name, c := range map[string]struct {
		in           forecast.Input
		start, ready r
		basis        forecast.Basis
	}{
		"nobody works":                {forecast.Input{Ahead: 3, Samples: repeat(s, 100), Prior: prior}, r{}, r{}, forecast.Unknown},
		"less than nobody":            {forecast.Input{Servers: -1, Prior: prior}, r{}, r{}, forecast.Unknown},
		"nobody ahead":                {forecast.Input{Servers: 1, Prior: prior}, r{}, r{10 * s, 30 * s}, forecast.Prior},
		"a negative number ahead":     {forecast.Input{Ahead: -5, Servers: 1, Prior: prior}, r{}, r{10 * s, 30 * s}, forecast.Prior},
		"one sample too few":          {forecast.Input{Servers: 1, Samples: repeat(s, forecast.MinSamples-1), Prior: prior}, r{}, r{10 * s, 30 * s}, forecast.Prior},
		"measured, all the same":      {forecast.Input{Ahead: 6, Servers: 2, Samples: repeat(2*s, forecast.MinSamples), Prior: prior}, r{6 * s, 6 * s}, r{8 * s, 8 * s}, forecast.Measured},
		"one ahead by the prior":      {forecast.Input{Ahead: 1, Servers: 1, Prior: prior}, r{10 * s, 30 * s}, r{20 * s, 48284271247}, forecast.Prior},
		"a clock that was set back":   {forecast.Input{Ahead: 2, Servers: 1, Samples: repeat(-s, 50)}, r{}, r{}, forecast.Measured},
		"a prior the wrong way round": {forecast.Input{Ahead: 1, Servers: 1, Prior: forecast.Assumed{P50: 5 * s, P90: s}}, r{5 * s, 5 * s}, r{10 * s, 10 * s}, forecast.Prior},
		"longer than a duration holds": {
			forecast.Input{Ahead: math.MaxInt32, Servers: 1, Samples: repeat(1000*time.Hour, 20)},
			r{math.MaxInt64, math.MaxInt64},
			r{math.MaxInt64, math.MaxInt64},
			forecast.Measured,
		},
	} {
		t.Run(name, func(t *testing.T) {
			start, ready, basis := forecast.Forecast(c.in)
			if d := cmp.Diff([]any{c.start, c.ready, c.basis}, []any{start, ready, basis}); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func drawInput(t *rapid.T) forecast.Input {
	any := rapid.OneOf(rapid.Int64(), rapid.Int64Range(0, int64(time.Hour)), rapid.SampledFrom([]int64{0, 1, math.MinInt64, math.MaxInt64}))
	some := rapid.Custom(func(t *rapid.T) time.Duration { return time.Duration(any.Draw(t, "d")) })
	return forecast.Input{
		Ahead:   rapid.OneOf(rapid.IntRange(0, 100), rapid.Int()).Draw(t, "ahead"),
		Servers: rapid.OneOf(rapid.IntRange(0, 5), rapid.Int()).Draw(t, "servers"),
		Samples: rapid.SliceOfN(some, 0, 40).Draw(t, "samples"),
		Prior:   forecast.Assumed{P50: some.Draw(t, "p50"), P90: some.Draw(t, "p90")},
	}
}

// TestWhateverComesIn: a forecast is never negative, its 90th percentile never before its median, it is ready no sooner than it starts, and
// without a server there is none. (A duration cannot be NaN or infinite; one that came from such a number would be negative or break the order.)
func TestWhateverComesIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		before := slices.Clone(in.Samples)
		start, ready, basis := forecast.Forecast(in)
		switch {
		case in.Servers <= 0:
			if basis != forecast.Unknown || start != (forecast.Range{}) || ready != (forecast.Range{}) {
				t.Fatalf("without a server: %v %v %s", start, ready, basis)
			}
		case (basis == forecast.Measured) != (len(in.Samples) >= forecast.MinSamples), basis == forecast.Unknown:
			t.Fatalf("%d samples and the basis %s", len(in.Samples), basis)
		}
		if start.P50 < 0 || start.P90 < start.P50 || ready.P90 < ready.P50 || !below(start, ready) {
			t.Fatalf("start %v, ready %v", start, ready)
		}
		if in.Ahead <= 0 && start != (forecast.Range{}) {
			t.Fatalf("nobody is ahead, and the wait is %v", start)
		}
		if !slices.Equal(in.Samples, before) {
			t.Fatal("the samples were changed")
		}
	})
}

// TestMoreAheadIsNoSooner, and more servers are no later.
func TestMoreAheadIsNoSooner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		in.Servers = rapid.IntRange(1, 100).Draw(t, "servers")
		in.Ahead = rapid.IntRange(0, 10_000).Draw(t, "ahead")
		start, ready, _ := forecast.Forecast(in)
		more := in
		more.Ahead += rapid.IntRange(1, 1000).Draw(t, "more")
		start2, ready2, _ := forecast.Forecast(more)
		if !below(start, start2) || !below(ready, ready2) {
			t.Fatalf("with %d ahead %v %v, with %d ahead %v %v", in.Ahead, start, ready, more.Ahead, start2, ready2)
		}
		faster := in
		faster.Servers++
		start3, ready3, _ := forecast.Forecast(faster)
		if !below(start3, start) || !below(ready3, ready) {
			t.Fatalf("with %d servers %v %v, with one more %v %v", in.Servers, start, ready, start3, ready3)
		}
	})
}

// below allows for the last bit of a float: a nanosecond, or a millionth of a millionth of a long time.
func below(a, b forecast.Range) bool {
	slack := func(d time.Duration) time.Duration { return 1 + d/1e12 }
	return a.P50-b.P50 <= slack(a.P50) && a.P90-b.P90 <= slack(a.P90)
}

// TestOrderOfSamplesIsNothing, nor does measuring the same again change the median.
func TestOrderOfSamplesIsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := forecast.Input{Ahead: rapid.IntRange(0, 9).Draw(t, "ahead"), Servers: 2}
		in.Samples = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "d"))
		}), 20, 40).Draw(t, "samples")
		a, b, _ := forecast.Forecast(in)
		in.Samples = rapid.Permutation(in.Samples).Draw(t, "shuffled")
		a2, b2, _ := forecast.Forecast(in)
		const close = time.Microsecond // sums of floats depend on their order, in the last digits
		for _, p := range [][2]time.Duration{{a.P50, a2.P50}, {a.P90, a2.P90}, {b.P50, b2.P50}, {b.P90, b2.P90}} {
			if (p[0] - p[1]).Abs() > close {
				t.Fatalf("%v %v, shuffled %v %v", a, b, a2, b2)
			}
		}
	})
}
