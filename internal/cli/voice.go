package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/kitshub/kitshub/internal/app"
	"github.com/kitshub/kitshub/internal/config"
	"github.com/kitshub/kitshub/internal/hub"
)

// How we speak. Data goes to standard output, in a table or as JSON, so that it can be piped. Everything else goes to standard error: one
// sentence that says what is wrong and one that says what to do, without stack, without secret, without "error:" three times over.

// say writes one line to the person.
func say(io Stdio, format string, args ...any) {
	fmt.Fprintf(io.Err, "kitshub: "+format+"\n", args...) //nolint:errcheck // nobody is left to tell
}

// fail says what went wrong and gives the exit code.
func fail(io Stdio, err error) int {
	var problems *config.Error
	if errors.As(err, &problems) {
		say(io, "the configuration is not right:")
		for _, p := range problems.Problems {
			fmt.Fprintf(io.Err, "  %v\n", p) //nolint:errcheck // nobody is left to tell
		}
		return config.ExitCode
	}
	var bad *app.ConfigError
	if errors.As(err, &bad) {
		say(io, "the configuration is not right:")
		fmt.Fprintf(io.Err, "  %v\n", bad) //nolint:errcheck // nobody is left to tell
		return config.ExitCode
	}
	var quiet errDone
	if errors.As(err, &quiet) {
		return exitFail
	}
	var refusal *hub.Error
	if errors.As(err, &refusal) {
		say(io, "%s (%s)", refusal.Error(), refusal.Code)
		for _, f := range refusal.Fields {
			fmt.Fprintf(io.Err, "  %s: %s (%s)\n", f.Field, f.Error(), f.Code) //nolint:errcheck // nobody is left to tell
		}
		return exitFail
	}
	say(io, "%v", err)
	return exitFail
}

// errDone fails a command that has said everything itself.
type errDone struct{}

// Error implements error.
func (errDone) Error() string { return "failed" }

// output is how a listing is printed.
type output struct {
	Output string `short:"o" enum:"table,json" default:"table" help:"table or json."`
}

// print writes rows as an aligned table or v as JSON.
func (o output) print(w io.Writer, v any, head []string, rows [][]string) error {
	if o.Output == "json" {
		return writeJSON(w, v)
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, r := range append([][]string{head}, rows...) {
		if _, err := fmt.Fprintln(t, strings.Join(flat(r), "\t")); err != nil {
			return err
		}
	}
	return t.Flush()
}

// flat makes each cell one line: errors that were joined come with line breaks and tabs, which would make rows and columns of their own.
func flat(cells []string) []string {
	out := make([]string, len(cells))
	for i, cell := range cells {
		for line := range strings.Lines(cell) {
			line = strings.Join(strings.Fields(line), " ")
			switch {
			case line == "":
				continue
			case out[i] != "" && strings.HasSuffix(out[i], ":"):
				out[i] += " "
			case out[i] != "":
				out[i] += "; "
			}
			out[i] += line
		}
	}
	return out
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// created is how something that was just made is printed: as JSON unless asked otherwise, since programs read it.
type created struct {
	Output string `short:"o" enum:"table,json" default:"json" help:"table or json."`
}

// print writes one row.
func (c created) print(w io.Writer, head, row []string) error {
	v := make(map[string]string, len(head))
	for i, name := range head {
		v[name] = row[i]
	}
	return output(c).print(w, v, head, [][]string{row})
}
