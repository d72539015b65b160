package config

import "strings"

// Problem is one thing that is wrong with one variable. It never holds the value.
type Problem struct {
	Variable string
	Message  string // what is wrong, without a final stop
	Fix      string // the next step, a sentence of its own
}

// String gives the line a person reads: "VARIABLE: problem. Next step."
func (p Problem) String() string {
	line := p.Variable + ": " + p.Message + "."
	if p.Fix != "" {
		line += " " + p.Fix
	}
	return line
}

// Error is every problem of a configuration, in the order of docs/config.md.
type Error struct{ Problems []Problem }

// Error gives one line for each problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// fault is a Problem before it knows its variable. Parsers return it rather than an error so that no standard error,
// which likes to quote its input, can slip into a message.
type fault struct{ message, fix string }
