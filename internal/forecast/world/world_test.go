package world

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/forecast"
)

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
