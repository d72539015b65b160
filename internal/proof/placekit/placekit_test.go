//go:build unix

package placekit_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/proof/placekit"
	"github.com/kitshub/kitshub/internal/testkit"
)

func TestMain(m *testing.M) {
	if placekit.ServeIfBare() {
		os.Exit(0)
	}
	testkit.Main(m)
}

func TestLineIsInTheContractsOrder(t *testing.T) {
	l := placekit.NewLine(500, 3)
	classes, same := map[int]int{}, 0
	for at, i := range l.Order {
		w := l.All[i]
		classes[w.Priority]++
		if int(l.Place[i]) != at+1 || len(w.ID) != 30 || !strings.HasPrefix(w.ID, "req_") {
			t.Fatalf("%+v stands at %d and says %d", w, at+1, l.Place[i])
		}
		if at == 0 {
			continue
		}
		before := l.All[l.Order[at-1]]
		switch {
		case before.Priority != w.Priority:
			if before.Priority < w.Priority {
				t.Fatalf("%+v comes before %+v", before, w)
			}
		case before.At == w.At:
			same++
			if before.ID >= w.ID {
				t.Fatalf("%+v comes before %+v", before, w)
			}
		case before.At > w.At:
			t.Fatalf("%+v comes before %+v", before, w)
		}
	}
	if len(classes) != 3 || same == 0 {
		t.Errorf("classes %v, %d at the same instant: such a line would show little", classes, same)
	}
	again := placekit.NewLine(500, 3)
	if !slices.Equal(l.Place, again.Place) || l.Token(7) != again.Token(7) || l.Token(7) == l.Token(8) {
		t.Error("the same seed makes another line")
	}
}

func TestPositionIn(t *testing.T) {
	for body, want := range map[string]int{
		`{"success":true,"data":{"status":"pending","position":1203,"ahead":1202}}`: 1203,
		`{"position":0}`: 0,
		`{"position":`:   -1,
		`{"position":x}`: -1,
		`nothing`:        -1,
	} {
		if got := placekit.PositionIn([]byte(body)); got != want {
			t.Errorf("%s: %d instead of %d", body, got, want)
		}
	}
}

func TestPercentile(t *testing.T) {
	x := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for p, want := range map[int]int{50: 5, 90: 9, 99: 10, 100: 10} {
		if got := placekit.Percentile(x, p); got != want {
			t.Errorf("p%d is %d instead of %d", p, got, want)
		}
	}
	if placekit.Percentile([]int{}, 99) != 0 {
		t.Error("a percentile of nothing")
	}
}

// The load gets the bare server's bytes, and finds fault with an answer that is no 200.
func TestLoadOfABareServer(t *testing.T) {
	b, err := placekit.StartBare(t.Context(), placekit.Answer{Header: http.Header{"X-Own": {"1"}}, Body: []byte(`{"position":42}`)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
	}()
	const questions = 200
	var asked, right atomic.Int64
	load := func(path string) *placekit.Load {
		return &placekit.Load{
			Addr: b.Addr, Conns: 4, CheckEvery: 1,
			Ask: func(*rand.Rand) int {
				if asked.Add(1) > questions {
					return -1
				}
				return 0
			},
			Text: func(int) []byte { return placekit.Get(b.Addr, path, "kst_x") },
			Check: func(_ int, body []byte) {
				if placekit.PositionIn(body) == 42 {
					right.Add(1)
				}
			},
		}
	}
	m, err := load("/api/v1/status").Run(t.Context(), time.Minute)
	if err != nil || m.Answers != questions || right.Load() != questions || m.PerS <= 0 || m.P99 < m.P50 {
		t.Errorf("%+v, %d right: %v", m, right.Load(), err)
	}
	asked.Store(0)
	if _, err := load("/elsewhere").Run(t.Context(), time.Minute); err == nil || !strings.Contains(fmt.Sprint(err), "404") {
		t.Errorf("an answer of 404 is none: %v", err)
	}
}
