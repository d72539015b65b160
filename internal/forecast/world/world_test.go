package world

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/forecast"
)

func TestSome(t *testing.T) {
	for _, m := range []Maker{Worlds[0], Worlds[1], Worlds[4], HoldOuts[1]} {
		for s := int64(2); s <= 3; s++ {
			w := m.Make(s, 5000)
			x := Judge(w, Run(w, forecast.New(Prior, 1)))
			fmt.Printf("%-28s %d p50 %.3f p90 %.3f ratio %.3f\n", x.Name, s, x.P50Coverage, x.P90Coverage, x.ErrorRatio)
		}
	}
}

func TestTable(t *testing.T) {
	n := 5000
	seeds := 1
	if v, err := strconv.Atoi(os.Getenv("SEEDS")); err == nil {
		seeds = v
	}
	all := Worlds
	if os.Getenv("HOLD") != "" {
		all = HoldOuts
	}
	for _, m := range all {
		for s := 1; s <= seeds; s++ {
			begin := time.Now()
			w := m.Make(int64(s), n)
			x := Judge(w, Run(w, forecast.New(Prior, 1)))
			later := ""
			if x.LaterCoverage != nil {
				later = fmt.Sprintf("later %.3f (%d)", *x.LaterCoverage, x.LaterCounted)
			}
			mark := ""
			if x.P90Coverage < .87 || x.P90Coverage > .93 {
				mark = "<<<"
			}
			if x.ErrorRatio > .5 {
				mark += "ERR"
			}
			fmt.Printf("%-28s %d %d p50 %.3f p90 %.3f ratio %.3f base %.3f unk %d err %.0f/%.0f %s %v %s\n", x.Name, s, x.Counted, x.P50Coverage, x.P90Coverage, x.ErrorRatio, x.BaselineCoverage, x.Unknown, x.MedianError, x.BaselineError, later, time.Since(begin).Round(time.Millisecond), mark)
		}
	}
}

type raw struct{ Forecaster }

func (raw) Outcome(forecast.Outcome) {}

func TestRaw(t *testing.T) {
	for _, m := range Worlds[:2] {
		for s := int64(2); s <= 3; s++ {
			w := m.Make(s, 5000)
			out := Run(w, raw{forecast.New(Prior, 1)})
			x := Judge(w, out)
			fmt.Printf("%-28s %d p50 %.3f p90 %.3f ratio %.3f\n", x.Name, s, x.P50Coverage, x.P90Coverage, x.ErrorRatio)
			for k := range 3 {
				for _, lim := range [][2]int{{0, 3}, {3, 15}, {15, 60}, {60, 1000}} {
					n, a, b := 0, 0, 0
					for _, r := range out {
						if r.Waited && r.Class == k && r.Ahead >= lim[0] && r.Ahead < lim[1] {
							n++
							count(&a, r.Wait <= r.Told.Start.P50.Seconds())
							count(&b, r.Wait <= r.Told.Start.P90.Seconds())
						}
					}
					fmt.Printf("   class %d ahead %v n %d p50 %.3f p90 %.3f\n", k, lim, n, float64(a)/float64(n), float64(b)/float64(n))
				}
			}
		}
	}
}
