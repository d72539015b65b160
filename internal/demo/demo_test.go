package demo

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/inspect"
)

var plans = []inspect.Plan{
	{ID: "small", Features: []string{"a"}},
	{ID: "middle", Features: []string{"a", "b", "c"}},
	{ID: "large", Features: []string{"a", "b", "c", "d"}, Provisioning: "operator"},
}

func TestSameSeedSameCustomers(t *testing.T) {
	a, b, c := customers(50, 7, plans), customers(50, 7, plans), customers(50, 8, plans)
	if !reflect.DeepEqual(a, b) {
		t.Error("the same seed gave other customers")
	}
	if reflect.DeepEqual(a, c) {
		t.Error("another seed gave the same customers")
	}
}

func TestEvenFewCustomersShowEveryPlan(t *testing.T) {
	seen, emails := map[string]int{}, map[string]bool{}
	some := 0
	for _, s := range customers(200, 1, plans) {
		seen[s.Plan]++
		emails[s.Email] = true
		if s.Features != nil {
			some++
		}
	}
	if len(emails) != 200 || some == 0 || seen["small"] <= seen["large"] || seen["large"] == 0 {
		t.Errorf("%d addresses, %d with a choice of features, plans %v", len(emails), some, seen)
	}
	for i, s := range customers(3, 99, plans) {
		if s.Plan != plans[i].ID {
			t.Errorf("customer %d takes %s", i, s.Plan)
		}
	}
}

// Only a run in which everybody is verified is a success.
func TestVerdict(t *testing.T) {
	for _, r := range []Result{
		{Customers: 3, Completed: 3, Verified: 2},
		{Customers: 3, Completed: 2, Verified: 2},
		{Customers: 3, Completed: 3, Verified: 3, Failed: 1},
		{Customers: 3},
	} {
		if r.verdict() == nil {
			t.Errorf("%+v passes", r)
		}
	}
	if err := (Result{Customers: 3, Completed: 3, Verified: 3}).verdict(); err != nil {
		t.Error(err)
	}
}

func TestQuantileIsTheNearestRank(t *testing.T) {
	var all []time.Duration
	for i := 1; i <= 200; i++ {
		all = append(all, time.Duration(i))
	}
	for _, tt := range []struct{ n, percent, want int }{{0, 50, 0}, {1, 99, 1}, {2, 50, 1}, {3, 50, 2}, {100, 99, 99}, {200, 99, 198}} {
		if got := quantile(all[:tt.n], tt.percent); int(got) != tt.want {
			t.Errorf("p%d of %d is %d instead of %d", tt.percent, tt.n, got, tt.want)
		}
	}
}

func TestOneCauseIsNotToldHundredTimes(t *testing.T) {
	m := &mainJob{}
	for range 100 {
		m.customers = append(m.customers, &customer{SignUp: drive.SignUp{Email: "x@y.z"}, trouble: errors.New("no")})
	}
	if got := m.troubles(); len(got) != 6 || !strings.Contains(got[5], "95 more") {
		t.Error(got)
	}
}

func TestRunRefusesWhatMakesNoSense(t *testing.T) {
	for _, o := range []Options{{Customers: 0}, {Customers: -1}, {Customers: 1, Engine: "oracle"}} {
		if err := Run(t.Context(), o); err == nil {
			t.Errorf("%+v was run", o)
		}
	}
}
