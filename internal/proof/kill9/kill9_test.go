package kill9

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/kitshub/kitshub/internal/catalog"
	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/inspect"
)

func newResult(engine string, n int) *Result {
	r := &Result{KillsByState: map[string]int{}}
	r.Begin("kill9", check.Options{Engine: engine, N: n, Log: io.Discard})
	return r
}

func promised(emails ...string) (out []*promise) {
	for _, e := range emails {
		out = append(out, &promise{SignUp: drive.SignUp{Email: e}, id: "req_" + e})
	}
	return out
}

func listed(id, email, status string) drive.Request {
	r := drive.Request{ID: id, Status: status}
	r.Customer.Email = email
	return r
}

// A judge that finds nothing is worth nothing: each kind of loss is found.
func TestTheRecordIsHeldAgainstWhatIsThere(t *testing.T) {
	a, b := listed("req_a", "a", "completed"), listed("req_b", "b", "completed")
	for _, tt := range []struct {
		name                         string
		there                        []drive.Request
		survived                     map[string]bool
		lost, duplicated, violations int
	}{
		{"all is well", []drive.Request{a, b}, nil, 0, 0, 0},
		{"one lost", []drive.Request{a}, nil, 1, 0, 1},
		{"one twice", []drive.Request{a, b, listed("req_b2", "b", "completed")}, nil, 0, 1, 1},
		{"one lost and made anew", []drive.Request{a, listed("req_b2", "b", "completed")}, nil, 1, 0, 1},
		{"one stuck", []drive.Request{a, listed("req_b", "b", "migrating")}, nil, 0, 0, 1},
		{"survivor there", []drive.Request{a, b, listed("req_c", "c", "completed")}, map[string]bool{"c": true}, 0, 0, 0},
		{"survivor gone", []drive.Request{a, b}, map[string]bool{"c": true}, 0, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newResult(check.SQLite, 1)
			matchListing(promised("a", "b"), tt.survived, tt.there, r)
			if r.Lost != tt.lost || r.Duplicated != tt.duplicated || r.Violations != tt.violations {
				t.Errorf("lost %d, duplicated %d, violations %d: %v", r.Lost, r.Duplicated, r.Violations, r.Found)
			}
		})
	}
}

func TestTenantsAreCounted(t *testing.T) {
	r := newResult(check.SQLite, 1)
	rows := []requestRow{{id: "req_a", email: "a"}, {id: "req_b", email: "x"}, {id: "req_c", email: "c"}, {id: "req_d", email: "d"}}
	tenants := []tenantRow{{id: "1", request: "req_a"}, {id: "2", request: "req_b"}, {id: "3", request: "req_c"}, {id: "4", request: "req_c"}}
	matchRows(promised("a", "b", "c", "d"), rows, tenants, r)
	if r.Duplicated != 1 || r.Violations != 3 { // b belongs to another, c has two, d none
		t.Errorf("duplicated %d, violations %v", r.Duplicated, r.Found)
	}
}

func TestFilesAreMatchedWithTenants(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"tenants/ten_a.g1.db", "tenants/ten_nobody.g1.db", "tenants/.tmp-1.db", "hub.db", "golden/abc.db"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, f)), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := newResult(check.SQLite, 1)
	matchFiles(dir, []tenantRow{{id: "a", place: "ten_a.g1.db"}, {id: "b", place: "ten_b.g1.db"}, {id: "c", place: "ten_c.g1.db", state: "purged"}}, r)
	if r.Orphans != 3 { // nobody's file, a half-made one, and b without one
		t.Errorf("%d orphans: %v", r.Orphans, r.Found)
	}
}

// Kills that hit nothing, or never a state, prove nothing.
func TestDemands(t *testing.T) {
	full := func() *Result {
		r := newResult(check.SQLite, 50)
		r.Done, r.Acked, r.KillsInFlight = 50, 10, 45
		for _, s := range mustMeet {
			r.KillsByState[s] = 1
		}
		return r
	}
	for name, tt := range map[string]struct {
		spoil  func(*Result)
		strict bool
		want   int
	}{
		"enough":          {func(*Result) {}, true, 0},
		"nothing in hand": {func(r *Result) { r.KillsInFlight = 44 }, false, 1},
		"a state missed":  {func(r *Result) { delete(r.KillsByState, "migrating") }, false, 1},
		"nobody came":     {func(r *Result) { r.Acked = 0 }, false, 1},
		"slow":            {func(r *Result) { r.RestartMSMax = 2001 }, false, 0},
		"slow and strict": {func(r *Result) { r.RestartMSMax = 2001 }, true, 1},
		"few kills":       {func(r *Result) { r.Done, r.KillsInFlight = 49, 0; clear(r.KillsByState) }, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := full()
			tt.spoil(r)
			r.demands(check.Options{Engine: check.SQLite, Strict: tt.strict})
			if r.Violations != tt.want {
				t.Errorf("%d violations: %v", r.Violations, r.Found)
			}
		})
	}
	if r := newResult(check.SQLite, 50); r.Passed() {
		t.Error("a check that did nothing passes")
	}
}

// The catalog with the plan that cannot be copied is one, and the hub's own lint has nothing against it.
func TestStepwiseCatalog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "catalog")
	if err := writeCatalog(dir); err != nil {
		t.Fatal(err)
	}
	for _, f := range catalog.Lint(t.Context(), os.DirFS(dir)) {
		t.Error(f)
	}
	files, err := inspect.Read(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	judge := inspect.NewJudge(files)
	defer func() {
		if err := judge.Close(); err != nil {
			t.Error(err)
		}
	}()
	want, err := judge.Expect(t.Context(), judge.PlanFeatures(stepwise))
	if err != nil {
		t.Fatal(err)
	}
	for step := range effectTimes() {
		if _, ok := want.Ledger[effects+"/"+step]; !ok {
			t.Errorf("no step %s", step)
		}
	}
}
