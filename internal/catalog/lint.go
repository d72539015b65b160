package catalog

import (
	"context"
	"io/fs"

	"github.com/kitshub/kitshub/internal/hub"
)

// RuleInterrupted says that Lint did not look at everything: the context ended, or the folder could not be read.
const RuleInterrupted = "interrupted"

// Lint finds what is wrong with a catalog folder, ordered by file and line; nothing found is a clean folder. Beyond what Load refuses it
// compares the migrations with catalog.lock, runs the SQLite text in memory (each feature with just what it depends on, then all together),
// parses the Postgres text with the parser of Postgres, and compares the tables that both dialects make. It takes a second or two, most
// of which loads that parser.
//
// Not seen are errors inside the bodies of Postgres functions and names that only Postgres would resolve: applying to a real server finds those.
func Lint(ctx context.Context, fsys fs.FS) []Finding {
	l, err := read(fsys)
	if err != nil {
		return []Finding{interrupted(err)}
	}
	if err := l.checkLock(); err != nil {
		l.findings = append(l.findings, interrupted(err))
	}
	lite := &liteLint{loader: l, failed: map[string]bool{}}
	lite.run(ctx)
	tables := l.lintPostgres(ctx)
	if err := ctx.Err(); err != nil {
		l.findings = append(l.findings, interrupted(err))
	} else if lite.tables != nil && tables != nil {
		l.compareTables(lite.tables, tables)
	}
	return tidy(l.findings)
}

// Released compares the migrations with catalog.lock and does nothing else, so it is quick enough for every start.
func Released(fsys fs.FS) []Finding {
	l, err := read(fsys)
	if err != nil {
		return []Finding{interrupted(err)}
	}
	l.findings = nil // Load tells those
	if err := l.checkLock(); err != nil {
		l.findings = append(l.findings, interrupted(err))
	}
	return tidy(l.findings)
}

func interrupted(err error) Finding {
	return Finding{File: ".", Line: 1, Rule: RuleInterrupted, Message: "the folder was not checked whole: " + err.Error(), Fix: "Run lint again once that is mended."}
}

// partial is the catalog of what was read, for running it; there may be findings.
func (l *loader) partial() *hub.Catalog {
	c := &hub.Catalog{}
	for _, f := range l.features {
		c.Features = append(c.Features, f.Feature)
	}
	return c
}
