//go:build unix

package crossconnect_test

import (
	"testing"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/crossconnect"
)

// Small, but the whole of it.
func TestRun(t *testing.T) {
	res, err := crossconnect.Run(t.Context(), check.Options{Engine: check.Postgres, N: 3, Seed: 2, Log: t.Output()})
	if err != nil || !res.Passed() || res.Tried != 6 || res.Refused != 6 || res.OwnOK != 3 || res.ElsewhereRefused != res.ElsewhereTried {
		t.Errorf("%+v: %v", res, err)
	}
}

func TestNeedsNeighbours(t *testing.T) {
	for _, o := range []check.Options{{Engine: check.Postgres, N: 1, Log: t.Output()}, {Engine: check.SQLite, N: 2, Log: t.Output()}} {
		if res, err := crossconnect.Run(t.Context(), o); err == nil || res.Passed() {
			t.Errorf("%+v passes: %v", o, err)
		}
	}
}
