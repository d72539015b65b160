// gotest runs `go test` with the given arguments, shows what it shows, and ends with the totals: how many tests ran,
// passed, failed and were skipped. It fails when go test fails, and also when nothing ran or something was skipped,
// because a test that did not run looks just like one that passed.
//
//	go run ./scripts/gotest ./...
//
// With -v each test has its line.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	verbose := slices.Contains(args, "-v")
	began := time.Now()
	// No context: go test gets the terminal's signals itself and we end after it.
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...) //nolint:gosec,noctx // see above
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		return 1
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		return 1
	}
	totals, readErr := report(out, os.Stdout, verbose)
	waitErr := cmd.Wait()
	fmt.Printf("\n%s in %s\n", totals, time.Since(began).Round(100*time.Millisecond))
	switch {
	case readErr != nil:
		fmt.Fprintln(os.Stderr, "gotest:", readErr)
		return 1
	case waitErr != nil:
		return 1
	case totals.passed == 0:
		fmt.Fprintln(os.Stderr, "gotest: no test ran")
		return 1
	case totals.skipped > 0:
		fmt.Fprintln(os.Stderr, "gotest: a skipped test is no test; let it fail with what is missing")
		return 1
	}
	return 0
}

// totals count tests with their subtests, as -v prints them.
type totals struct{ packages, passed, failed, skipped int }

// String is the last line of the run.
func (t totals) String() string {
	return fmt.Sprintf("%d tests passed, %d failed, %d skipped, in %d packages", t.passed, t.failed, t.skipped, t.packages)
}

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action, Package, Test, Output, ImportPath string
}

// report turns the events back into the text that go test prints without -json: the lines of a package together, and
// those of a test only when it failed or when all are wanted.
func report(in io.Reader, out io.Writer, verbose bool) (totals, error) {
	var sum totals
	tests := map[string][]string{}    // package and test → its lines so far
	packages := map[string][]string{} // package → what will be shown of it when it ends
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(out, lines.Text()) // go itself speaks plainly at times
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			switch {
			case e.Package == "":
				fmt.Fprint(out, e.Output) // the compiler
			case verbose || e.Test == "":
				packages[e.Package] = append(packages[e.Package], e.Output)
			default:
				tests[key] = append(tests[key], e.Output)
			}
		case "pass", "fail", "skip":
			sum.count(e)
			if e.Action == "fail" {
				packages[e.Package] = append(packages[e.Package], tests[key]...)
			}
			delete(tests, key)
			if e.Test == "" {
				show(out, packages[e.Package], verbose)
				delete(packages, e.Package)
			}
		}
	}
	// What never ended (a binary crashed or timed out) has no verdict, yet its lines hold the reason.
	for _, held := range []map[string][]string{tests, packages} {
		for _, key := range slices.Sorted(maps.Keys(held)) {
			show(out, held[key], true)
		}
	}
	return sum, lines.Err()
}

// show leaves out, unless all is wanted, the headings of tests that are not shown.
func show(out io.Writer, lines []string, all bool) {
	for _, line := range lines {
		if all || !noise(line) {
			fmt.Fprint(out, line)
		}
	}
}

func (t *totals) count(e event) {
	switch {
	case e.Test == "" && e.Action != "skip": // "skip" of a package means that it has no test files
		t.packages++
	case e.Test == "":
	case e.Action == "pass":
		t.passed++
	case e.Action == "fail":
		t.failed++
	default:
		t.skipped++
	}
}

func noise(line string) bool {
	return strings.HasPrefix(line, "=== ") || line == "PASS\n" || line == "testing: warning: no tests to run\n"
}
