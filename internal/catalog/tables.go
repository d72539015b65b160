package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kitshub/kitshub/internal/hub"
)

// tableSet is what a dialect's migrations make, by table name in lower case.
type tableSet map[string]*tableInfo

type tableInfo struct {
	columns map[string]bool
	opaque  bool // its columns cannot be told without running it: CREATE TABLE … AS, LIKE, INHERITS
	file    string
	line    int
}

// table gives the table of a name, making it if need be.
func (s tableSet) table(name string) *tableInfo {
	if s[name] == nil {
		s[name] = &tableInfo{columns: map[string]bool{}}
	}
	return s[name]
}

// compareTables finds tables and columns that only one dialect makes: a program written for one would break on the other.
func (l *loader) compareTables(lite, postgres tableSet) {
	const fix = "Make the same tables and columns in both dialects; what only Postgres needs can live in a schema of its own."
	for _, name := range slices.Sorted(maps.Keys(postgres)) {
		p := postgres[name]
		s, ok := lite[name]
		if !ok {
			l.add(p.file, p.line, RuleParity, fix, "Postgres gets a table %s, SQLite does not", name)
			continue
		}
		if p.opaque {
			continue
		}
		var differ []string
		for _, side := range []struct {
			dialect     hub.Dialect
			has, hasNot map[string]bool
		}{{hub.SQLite, s.columns, p.columns}, {hub.Postgres, p.columns, s.columns}} {
			for _, column := range slices.Sorted(maps.Keys(side.has)) {
				if !side.hasNot[column] {
					differ = append(differ, fmt.Sprintf("%s only for %s", column, side.dialect))
				}
			}
		}
		if len(differ) > 0 {
			l.add(p.file, p.line, RuleParity, fix, "the columns of table %s differ: %s", name, strings.Join(differ, ", "))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(lite)) {
		if _, ok := postgres[name]; !ok {
			file, line := l.whereMade(name)
			l.add(file, line, RuleParity, fix, "SQLite gets a table %s, Postgres does not", name)
		}
	}
}

// whereMade finds the SQLite statement that makes a table, by its words.
func (l *loader) whereMade(table string) (file string, line int) {
	for _, t := range l.texts {
		if t.dialect != hub.SQLite {
			continue
		}
		for _, st := range Split(t.SQL, hub.SQLite) {
			head, _, _ := strings.Cut(st.SQL, "(")
			if strings.HasPrefix(strings.ToUpper(head), "CREATE") && len(occurrences(head, table)) > 0 && len(occurrences(head, "TABLE")) > 0 {
				return t.File, st.Line
			}
		}
	}
	return ".", 1
}
