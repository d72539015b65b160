package catalog

import (
	"context"
	"database/sql"
	"regexp"
	"strings"
)

var (
	liteNoise = regexp.MustCompile(`^(?:SQL logic error: )?(.*?)(?: \(\d+\))?$`)
	nearToken = regexp.MustCompile(`near "(.+?)": syntax error`)
	nameInBad = regexp.MustCompile(`(?:no such (?:table|column|function|collation sequence): |has no column named |unknown datatype for \S+: "|unknown table option: )(?:main\.)?"?([^"\s(]+)`)
)

// liteMessage is SQLite's own sentence without the driver's wrapping.
func liteMessage(err error) string {
	return liteNoise.ReplaceAllString(strings.TrimSpace(err.Error()), "$1")
}

// lineWithin says how many lines below a statement's first the error is, as far as its message tells: SQLite names a token and no position.
func lineWithin(ctx context.Context, conn *sql.Conn, statement string, err error) int {
	message := err.Error()
	if m := nearToken.FindStringSubmatch(message); m != nil {
		return strings.Count(statement[:syntaxOffset(ctx, conn, statement, m[1], message)], "\n")
	}
	m := nameInBad.FindStringSubmatch(message)
	if m == nil {
		return 0
	}
	name := m[1][strings.LastIndexByte(m[1], '.')+1:]
	if at := occurrences(statement, name); len(at) == 1 {
		return strings.Count(statement[:at[0]], "\n")
	}
	return 0 // not there, or more than once: the statement's first line is the truth we have
}

// syntaxOffset finds the token that a syntax error is near. Of several equal ones it is the first at which the text so far is already wrong:
// compiling the text up to a sound token fails otherwise, for being incomplete.
func syntaxOffset(ctx context.Context, conn *sql.Conn, statement, near, message string) int {
	at := occurrences(statement, near)
	for _, offset := range at {
		_, err := conn.ExecContext(ctx, "EXPLAIN "+statement[:offset+len(near)])
		if err != nil && nearToken.FindString(err.Error()) == nearToken.FindString(message) {
			return offset
		}
	}
	if len(at) > 0 {
		return at[0]
	}
	return 0
}

// occurrences gives the offsets at which a token stands in a statement, in its own case or another, quoted or not.
func occurrences(statement, want string) []int {
	var at []int
	for sc := (&scanner{src: statement}); ; {
		kind, start, end := sc.next()
		if kind == tokEOF {
			return at
		}
		text := statement[start:end]
		if strings.EqualFold(text, want) {
			at = append(at, start)
		} else if kind == tokOther && len(text) > 2 && strings.EqualFold(text[1:len(text)-1], want) {
			at = append(at, start)
		}
	}
}
