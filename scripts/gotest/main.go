// gotest runs `go test` with the given arguments, shows what it shows, and ends with the totals: how many tests ran,
// passed, failed and were skipped. What failed is shown once more before them, since a log is read from its end and
// often only the end of it is kept. It fails when go test fails, and also when nothing ran or something was skipped,
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
	totals.again(os.Stdout)
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
type totals struct {
	packages, passed, failed, skipped int

	failures []failure
}

// failure is a test that failed, or one (or a package, without a test) that never ended.
type failure struct {
	name  string
	lines []string
}

// lastLines is how much of a failure is shown again; a crash prints every goroutine there was.
const lastLines = 60

// again shows the failures.
func (t totals) again(out io.Writer) {
	if len(t.failures) > 0 {
		fmt.Fprintln(out, "\nWhat failed:")
	}
	for _, f := range t.failures {
		fmt.Fprintf(out, "\n%s\n", f.name)
		lines := f.lines
		if len(lines) > lastLines {
			fmt.Fprintf(out, "(the last %d of %d lines; all of them are above)\n", lastLines, len(lines))
			lines = lines[len(lines)-lastLines:]
		}
		fmt.Fprint(out, strings.Join(lines, ""))
	}
}

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
	explained := map[string]bool{}    // package → a test of it failed, which says why it did
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
			if e.Package == "" {
				fmt.Fprint(out, e.Output) // the compiler
				continue
			}
			if e.Test != "" {
				tests[key] = append(tests[key], e.Output)
			}
			if verbose || e.Test == "" {
				packages[e.Package] = append(packages[e.Package], e.Output)
			}
		case "pass", "fail", "skip":
			sum.count(e)
			switch {
			case e.Test == "" && e.Action == "fail" && !explained[e.Package]:
				sum.failures = append(sum.failures, failure{e.Package, packages[e.Package]})
			case e.Action == "fail" && e.Test != "":
				explained[e.Package] = true
				sum.failures = append(sum.failures, failure{key, tests[key]})
				if !verbose {
					packages[e.Package] = append(packages[e.Package], tests[key]...)
				}
			}
			delete(tests, key)
			if e.Test == "" {
				show(out, packages[e.Package], verbose)
				delete(packages, e.Package)
			}
		}
	}
	// What never ended (a binary crashed or timed out) has no verdict, yet its lines hold the reason.
	for _, key := range slices.Sorted(maps.Keys(tests)) {
		sum.failures = append(sum.failures, failure{key, tests[key]})
		if !verbose {
			show(out, tests[key], true)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(packages)) {
		show(out, packages[key], true)
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
