package catalog

import (
	"context"
	"errors"
	"strings"

	"github.com/wasilibs/go-pgquery/parser" // loads the real parser on its first use, about a second: in Lint only

	"github.com/kitshub/kitshub/internal/hub"
)

// lintPostgres parses every Postgres text and collects the tables that the migrations make, in the features' order. The result is nil when
// something does not parse or depends in a circle: then there is nothing to compare.
func (l *loader) lintPostgres(ctx context.Context) tableSet {
	trees := map[string]*pgTree{} // by file
	good := true
	for _, t := range l.texts {
		if t.dialect != hub.Postgres {
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		var tree *pgTree
		text, err := parser.ParseToJSON(t.SQL)
		if err == nil {
			tree, err = readTree(text)
		}
		if err != nil {
			l.add(t.File, postgresLine(t.SQL, err), RuleSQL, "Correct it; for text that only one engine understands write NAME.sqlite.sql and NAME.postgres.sql.", "Postgres cannot parse it: %v", err)
			good = false
		} else {
			l.lintTransaction(t.Source, tree)
		}
		trees[t.File] = tree
	}
	var all []string
	for _, f := range l.features {
		all = append(all, f.Name)
	}
	order, err := l.partial().Closure(all)
	if err != nil || !good {
		return nil
	}
	tables := tableSet{}
	for _, name := range order {
		for _, s := range l.feature(name).Migrations {
			src := s.Text[hub.Postgres]
			for _, raw := range trees[src.File].Stmts {
				raw.Stmt.apply(tables, src.File, statementLine(src.SQL, raw.Location))
			}
		}
	}
	return tables
}

// lintTransaction finds statements that need a script without a transaction, and those that such a script cannot repeat after a crash.
func (l *loader) lintTransaction(src hub.Source, tree *pgTree) {
	gone := map[string]bool{}
	for _, raw := range tree.Stmts {
		line := statementLine(src.SQL, raw.Location)
		switch alone := raw.Stmt.alone(); {
		case alone && !src.NoTransaction:
			l.add(src.File, line, RuleSQL, `Put it into a migration of its own, with "`+noTransaction+`" alone on the first line.`, "Postgres refuses this statement in a transaction")
		case alone && raw.Stmt.onceOnly(gone):
			l.add(src.File, line, RuleSQL, "Write IF NOT EXISTS or IF EXISTS.", "after a crash this script is run again, and this statement would fail")
		}
		for _, name := range raw.Stmt.dropped() {
			gone[name] = true
		}
	}
}

// statementLine is the line of a statement whose place, as the parser says it, begins right after the semicolon before.
func statementLine(sql string, offset int) int {
	offset = min(offset, len(sql))
	line := 1 + strings.Count(sql[:offset], "\n")
	if st := Split(sql[offset:], hub.Postgres); len(st) > 0 {
		line += st[0].Line - 1
	}
	return line
}

// postgresLine is the line of the parser's cursor, which counts characters from 1; 0 is unknown.
func postgresLine(sql string, err error) int {
	var bad *parser.Error
	if !errors.As(err, &bad) || bad.Cursorpos < 1 {
		return 1
	}
	characters := []rune(sql)
	// At the end of the input the last line that has something is the one to look at.
	before := strings.TrimRight(string(characters[:min(bad.Cursorpos-1, len(characters))]), "\r\n")
	if bad.Cursorpos <= len(characters) {
		before = string(characters[:bad.Cursorpos-1])
	}
	return 1 + strings.Count(before, "\n")
}
