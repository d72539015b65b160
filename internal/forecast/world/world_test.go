package world

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/kitshub/kitshub/internal/forecast"
)

var update = flag.Bool("update", false, "write the goldens anew")

const byHand = `{"kind":"planned","servers":[{"at_s":0,"count":1,"announced":true},{"at_s":100,"count":2,"announced":true},{"at_s":200,"count":0,"announced":false},{"at_s":500,"count":1,"announced":true}]}

{"arrive_s":0,"plan":"starter","service_s":60}
{"arrive_s":10,"plan":"starter","service_s":30}
{"arrive_s":20,"plan":"enterprise","service_s":70}
{"arrive_s":25,"plan":"professional","service_s":500,"note":"members of others are passed over"}
{"arrive_s":150,"plan":"basic","service_s":1}
{"arrive_s":210,"plan":"enterprise","service_s":1}
`

// TestByHand holds the simulator against a line that was reckoned by hand: the enterprise is served before those of lower classes who came
// earlier, nobody is interrupted, who leaves at 200 finishes first, and the shift at 500 goes on where it stopped.
func TestByHand(t *testing.T) {
	w, err := Read(strings.NewReader(byHand))
	if err != nil {
		t.Fatal(err)
	}
	records := Run(w, forecast.New(Prior, 1))
	want := []struct {
		start  float64
		waited bool
		ahead  int
	}{{0, false, 0}, {130, true, 0}, {60, true, 0}, {100, true, 1}, {160, true, 0}, {600, true, 0}}
	for i, x := range want {
		if r := records[i]; !r.Started || r.Arrive+r.Wait != x.start || r.Waited != x.waited || r.Ahead != x.ahead {
			t.Errorf("customer %d: started %v at %v, found all busy %v, ahead %d; want %+v", i, r.Started, r.Arrive+r.Wait, r.Waited, r.Ahead, x)
		}
	}
	if records[5].Nobody {
		t.Error("a shift is announced for 500 s, so somebody is expected")
	}
}

// TestUnknownIsCounted: unknown is a miss, unless no server worked and none was announced; who never starts is one as well.
func TestUnknownIsCounted(t *testing.T) {
	base := Record{Waited: true, Started: true, Wait: 60}
	unknown, excused, never, idle := base, base, base, base
	unknown.Told.Basis = forecast.Unknown
	excused.Told.Basis, excused.Nobody = forecast.Unknown, true
	never.Started = false
	never.Told.Start.P90 = 1 << 60
	idle.Waited = false
	base.Told.Start.P90 = 1 << 40
	s := Judge(&World{Kind: Steady}, []Record{base, unknown, excused, never, idle})
	if s.Counted != 3 || s.Unknown != 1 || s.P90Coverage != 1.0/3 {
		t.Errorf("counted %d, unknown %d, coverage %v", s.Counted, s.Unknown, s.P90Coverage)
	}
}

// TestNoPeeking: what is told until some time does not depend on what comes after it.
func TestNoPeeking(t *testing.T) {
	for _, m := range []Maker{Worlds[0], Worlds[6]} {
		a, b := m.Make(5, 400), m.Make(5, 400)
		cut := a.Customers[200].Arrive
		ends := map[int]bool{}
		for i, r := range Run(a, forecast.New(Prior, 1)) {
			ends[i] = r.Started && r.Arrive+r.Wait+r.Service <= cut
		}
		for i := range b.Customers {
			if !ends[i] && i < 200 {
				b.Customers[i].Service += 1000 // still in the line or in service: nobody can know how long it takes
			}
		}
		b.Customers = b.Customers[:201]
		b.Servers = append(b.Servers, Staffing{cut + 1, 50, false})
		x, y := Run(a, forecast.New(Prior, 1)), Run(b, forecast.New(Prior, 1))
		for i := range 201 {
			if x[i].Told != y[i].Told {
				t.Fatalf("%s: the future changes what customer %d is told: %+v, %+v", m.Name, i, x[i].Told, y[i].Told)
			}
		}
	}
}

func TestWriteRead(t *testing.T) {
	for _, m := range append(Worlds[:len(Worlds):len(Worlds)], HoldOuts...) {
		w := m.Make(3, 50)
		var text bytes.Buffer
		if err := w.Write(&text); err != nil {
			t.Fatal(err)
		}
		got, err := Read(&text)
		if err != nil {
			t.Fatalf("%s: %v", m.Name, err)
		}
		got.Name = w.Name
		if !reflect.DeepEqual(got, w) {
			t.Errorf("%s: read again it is another", m.Name)
		}
		if again := m.Make(3, 50); !reflect.DeepEqual(again, w) {
			t.Errorf("%s: the same seed makes another world", m.Name)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	const head = `{"kind":"steady","servers":[{"at_s":0,"count":1,"announced":true}]}` + "\n"
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "empty"},
		{"blank lines", "\n \n", "empty"},
		{"no JSON", "hello", "line 1"},
		{"unheard-of kind", `{"kind":"odd","servers":[{"at_s":0,"count":1}]}`, "kind"},
		{"no servers", `{"kind":"steady"}`, "servers is missing"},
		{"servers backwards", `{"kind":"steady","servers":[{"at_s":5,"count":1},{"at_s":4,"count":1}]}`, "ascend"},
		{"fewer than no servers", `{"kind":"steady","servers":[{"at_s":5,"count":-1}]}`, "count -1"},
		{"no service", head + `{"arrive_s":1,"plan":"basic"}`, "line 2"},
		{"negative service", head + `{"arrive_s":1,"plan":"basic","service_s":-1}`, "line 2"},
		{"huge service", head + `{"arrive_s":1,"plan":"basic","service_s":1e300}`, "line 2"},
		{"out of order", head + `{"arrive_s":2,"service_s":1}` + "\n" + `{"arrive_s":1,"service_s":1}`, "line 3"},
	} {
		if _, err := Read(strings.NewReader(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want it to say %q", tt.name, err, tt.want)
		}
	}
}

// TestGolden keeps what a small world's customers are told, to the second.
func TestGolden(t *testing.T) {
	const path = "testdata/small.golden"
	w := Worlds[0].Make(1, 120)
	var got strings.Builder
	for i, r := range Run(w, forecast.New(Prior, 1)) {
		if r.Waited {
			fmt.Fprintf(&got, "%3d class %d ahead %2d told %6.0f %6.0f %s waited %6.0f\n", i, r.Class, r.Ahead,
				r.Told.Start.P50.Seconds(), r.Told.Start.P90.Seconds(), r.Told.Basis, r.Wait)
		}
	}
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the forecasts changed; look at them, then write them anew by go test ./internal/forecast/world -update\n%s", got.String())
	}
}

func FuzzRead(f *testing.F) {
	f.Add(byHand)
	f.Add("\ufeff" + `{"kind":"sudden","servers":[{"at_s":0,"count":0}],"changes_s":[1,2]}` + "\n" + `{"arrive_s":-1,"service_s":0}`)
	f.Add(`{"kind":"steady","servers":[{}]}` + "\n{}\n")
	f.Fuzz(func(t *testing.T, text string) {
		w, err := Read(strings.NewReader(text))
		if err != nil {
			return
		}
		if len(w.Customers) > 30 {
			w.Customers = w.Customers[:30]
		}
		for i, r := range Run(w, forecast.New(Prior, 1)) {
			if a := r.Told; a.Start.P50 < 0 || a.Start.P50 > a.Start.P90 || a.Ready.P90 < a.Start.P90 {
				t.Errorf("customer %d is told %+v", i, a)
			}
		}
	})
}
