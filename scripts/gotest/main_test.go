package main

import (
	"io"
	"strings"
	"testing"
)

const stream = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"    a_test.go:1: chatter\n"}
{"Action":"pass","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"    a_test.go:2: the reason\n"}
{"Action":"fail","Package":"p","Test":"TestBad"}
{"Action":"skip","Package":"p","Test":"TestLazy"}
{"Action":"output","Package":"p","Test":"TestHung","Output":"panic: test timed out\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
{"Action":"output","Package":"q","Output":"?   \tq\t[no test files]\n"}
{"Action":"skip","Package":"q"}
{"ImportPath":"r","Action":"build-output","Output":"r/a.go:3:1: syntax error\n"}
go: a word of its own
`

// crash is a package that fails outside any test, with more lines than are told again.
var crash = strings.Repeat(`{"Action":"output","Package":"s","Output":"goroutine\n"}`+"\n", 61) +
	`{"Action":"fail","Package":"s"}` + "\n"

func TestReport(t *testing.T) {
	for _, c := range []struct {
		verbose    bool
		has, hides []string
	}{
		{false, []string{"the reason", "timed out", "FAIL\tp\t0.1s", "[no test files]", "syntax error", "a word of its own"}, []string{"chatter", "=== RUN"}},
		{true, []string{"chatter", "=== RUN", "the reason", "timed out", "FAIL\tp\t0.1s"}, nil},
	} {
		var out strings.Builder
		sum, err := report(strings.NewReader(stream), &out, c.verbose)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := sum.String(), "1 tests passed, 1 failed, 1 skipped, in 1 packages"; got != want {
			t.Errorf("verbose %v: %v, want %v", c.verbose, got, want)
		}
		for _, s := range c.has {
			if !strings.Contains(out.String(), s) {
				t.Errorf("verbose %v: %q is missing from\n%s", c.verbose, s, out.String())
			}
		}
		for _, s := range c.hides {
			if strings.Contains(out.String(), s) {
				t.Errorf("verbose %v: %q should not be in\n%s", c.verbose, s, out.String())
			}
		}
	}
}

func TestFailuresAreToldAgain(t *testing.T) {
	for _, verbose := range []bool{false, true} {
		sum, err := report(strings.NewReader(stream+crash), io.Discard, verbose)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		sum.again(&out)
		want := `
What failed:

p TestBad
    a_test.go:2: the reason

s
(the last 60 of 61 lines; all of them are above)
` + strings.Repeat("goroutine\n", 60) + `
p TestHung
panic: test timed out
`
		if out.String() != want {
			t.Errorf("verbose %v: told\n%s\nwant\n%s", verbose, out.String(), want)
		}
	}
	var none strings.Builder
	totals{passed: 1}.again(&none)
	if none.Len() > 0 {
		t.Errorf("nothing failed, and it says %q", none.String())
	}
}
