package catalog

import (
	"strings"

	"github.com/kitshub/kitshub/internal/hub"
)

// Statement is one SQL statement of a script.
type Statement struct {
	SQL    string // from its first token to its last: no closing semicolon, no comments around it
	Line   int    // 1-based line of the script on which it starts
	Offset int    // its first byte in the script
}

// Split cuts a script into its statements. It knows what can hide a semicolon: quotes, comments, Postgres dollar quotes, parentheses (as in
// CREATE RULE … DO (a; b)) and BEGIN ATOMIC bodies, and SQLite trigger bodies. It never fails: text that is no SQL comes back in pieces for the engine to refuse.
func Split(sql string, d hub.Dialect) []Statement {
	var out []Statement
	sc := &scanner{src: sql, postgres: d != hub.SQLite}
	body := body{postgres: sc.postgres}
	first, last := -1, 0 // offsets of the running statement
	line, counted := 1, 0
	flush := func() {
		if first < 0 {
			return
		}
		line += strings.Count(sql[counted:first], "\n")
		counted = first
		out = append(out, Statement{SQL: sql[first:last], Line: line, Offset: first})
		first = -1
		body.reset()
	}
	for {
		kind, start, end := sc.next()
		switch {
		case kind == tokEOF:
			flush()
			return out
		case kind == tokSemicolon && (first < 0 || body.endsAtSemicolon()):
			flush()
			continue
		}
		if first < 0 {
			first = start
		}
		last = end
		body.take(kind, sql[start:end])
	}
}

// body follows one statement and knows whether a semicolon ends it or belongs to a body inside it.
type body struct {
	postgres bool
	words    []string // the first words, upper case: enough to tell CREATE TEMP TRIGGER or CREATE OR REPLACE FUNCTION
	parens   int      // Postgres: open parentheses
	depth    int      // Postgres: open BEGIN ATOMIC and CASE
	prev     string   // the last token when it was a word, upper case, or ";"
	prev2    string   // the one before
}

func (b *body) reset() { *b = body{postgres: b.postgres, words: b.words[:0]} }

func (b *body) take(kind token, text string) {
	word := ""
	switch kind {
	case tokWord:
		word = strings.ToUpper(text)
		if len(b.words) < 4 {
			b.words = append(b.words, word)
		}
	case tokSemicolon:
		word = ";"
	case tokOpen:
		b.parens++
	case tokClose:
		b.parens = max(0, b.parens-1)
	}
	if b.postgres && b.definesRoutine() {
		switch {
		case word == "ATOMIC" && b.prev == "BEGIN", word == "CASE" && b.depth > 0:
			b.depth++
		case word == "END" && b.depth > 0:
			b.depth--
		}
	}
	b.prev2, b.prev = b.prev, word
}

// endsAtSemicolon says whether a semicolon here is the statement's end.
func (b *body) endsAtSemicolon() bool {
	if b.postgres {
		return b.parens == 0 && b.depth == 0
	}
	// A trigger's body is BEGIN stmt; … END, so its end is the END that follows a semicolon; the END of a CASE never does.
	return !b.definesTrigger() || (b.prev == "END" && b.prev2 == ";")
}

func (b *body) definesTrigger() bool {
	w := b.words
	if len(w) < 2 || w[0] != "CREATE" {
		return false
	}
	if w[1] == "TEMP" || w[1] == "TEMPORARY" {
		return len(w) > 2 && w[2] == "TRIGGER"
	}
	return w[1] == "TRIGGER"
}

func (b *body) definesRoutine() bool {
	w := b.words
	if len(w) > 3 && w[1] == "OR" && w[2] == "REPLACE" {
		w = []string{w[0], w[3]}
	}
	return len(w) > 1 && w[0] == "CREATE" && (w[1] == "FUNCTION" || w[1] == "PROCEDURE")
}
