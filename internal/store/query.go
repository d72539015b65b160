package store

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// where collects conditions with their arguments.
type where struct {
	parts []string
	args  []any
}

// add takes a condition with one %d for the argument's number.
func (w *where) add(format string, arg any) {
	w.args = append(w.args, arg)
	w.parts = append(w.parts, fmt.Sprintf(format, len(w.args)))
}

// equal adds column = value unless the value is empty.
func (w *where) equal(column, value string) {
	if value != "" {
		w.text(column+" = $%d", value)
	}
}

// text is add for what a caller typed. Postgres can neither keep NUL nor broken UTF-8 and calls it an error; no row has it, so nothing matches.
func (w *where) text(format, value string) {
	if strings.ContainsRune(value, 0) || !utf8.ValidString(value) {
		w.never()
		return
	}
	w.add(format, value)
}

func (w *where) never() { w.parts = append(w.parts, "1 = 0") }

// limit gives the LIMIT clause; 0 is none.
func limit(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" LIMIT %d", n)
}

// longestLike is SQLite's limit for a pattern (SQLITE_MAX_LIKE_PATTERN_LENGTH), in bytes; far more than any text that is searched.
const longestLike = 50_000

// contains adds that the column has the text in it, letter by letter.
func (w *where) contains(column, value string) {
	pattern := "%" + escapeLike(value) + "%"
	if len(pattern) > longestLike {
		w.never()
		return
	}
	w.text(column+" LIKE $%d ESCAPE '!'", pattern)
}

// begins adds that the column begins with one of the prefixes, letter by letter.
func (w *where) begins(column string, prefixes []string) {
	if len(prefixes) == 0 {
		w.never()
		return
	}
	some := make([]string, len(prefixes))
	for i, prefix := range prefixes {
		w.args = append(w.args, escapeLike(prefix)+"%")
		some[i] = fmt.Sprintf(column+" LIKE $%d ESCAPE '!'", len(w.args))
	}
	w.parts = append(w.parts, "("+strings.Join(some, " OR ")+")")
}

// String gives the WHERE clause, or nothing.
func (w *where) String() string {
	if len(w.parts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.parts, " AND ")
}

// escapeLike makes a text match only itself in LIKE … ESCAPE '!'.
func escapeLike(s string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(s)
}

// collect reads all rows and closes them.
func collect[T any](rows *sql.Rows, scan func(interface{ Scan(...any) error }) (T, error)) (out []T, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
