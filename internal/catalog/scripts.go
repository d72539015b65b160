package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/kitshub/kitshub/internal/hub"
)

// noTransaction, alone on the first line, marks a script that the engine refuses to run in a transaction.
const noTransaction = "-- kitshub:no-transaction"

// scriptFile is NAME.sql or NAME.DIALECT.sql, where NAME is NNNN_words, seed or check.
var scriptFile = regexp.MustCompile(`^((\d{4})_[a-z0-9][a-z0-9_]*|seed|check)(?:\.(sqlite|postgres))?\.sql$`)

// readScripts takes in the .sql files of one feature.
func (l *loader) readScripts(f *feature, dir string) error {
	entries, err := fs.ReadDir(l.fsys, dir) // sorted by name: migrations come in their order
	if err != nil {
		return fmt.Errorf("read %s: %w", dir, err)
	}
	before := len(l.findings)
	texts := map[string]map[hub.Dialect]hub.Source{}
	var names []string
	numbers := map[string]string{}
	for _, e := range entries {
		file := dir + "/" + e.Name()
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".sql") {
			continue
		}
		m := scriptFile.FindStringSubmatch(e.Name())
		if m == nil {
			l.add(file, 1, RuleFileName, "Name it NNNN_words.sql, seed.sql or check.sql, with .sqlite or .postgres before .sql for one dialect.", "the file's name says neither its place nor its purpose")
			continue
		}
		name, number := m[1], m[2]
		if other, ok := numbers[number]; number != "" && ok && other != name {
			l.add(file, 1, RuleDuplicate, "Give one of them the next free number; if one is released, the other.", "migration number %s is already taken by %s", number, other)
		}
		numbers[number] = name
		data, err := fs.ReadFile(l.fsys, file)
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		l.sums[file] = source(file, string(data)).Checksum
		if texts[name] == nil {
			texts[name] = map[hub.Dialect]hub.Source{}
			names = append(names, name)
		}
		for _, d := range dialects {
			if m[3] != "" && m[3] != string(d) {
				continue
			}
			if other, ok := texts[name][d]; ok {
				l.add(file, 1, RuleDuplicate, "Keep the portable text, or one text for each dialect.", "%s is already given for %s by %s", name, d, other.File)
				continue
			}
			if len(Split(string(data), d)) == 0 {
				l.add(file, 1, RuleEmptyScript, "Write a statement, or remove the file.", "the script has no statement")
			}
			texts[name][d] = source(file, string(data))
			l.texts = append(l.texts, text{Source: texts[name][d], dialect: d})
		}
	}
	slices.Sort(names)
	for _, name := range names {
		l.addScript(f, name, texts[name])
	}
	f.broken = len(l.findings) > before
	return nil
}

func source(file, sql string) hub.Source {
	sum := sha256.Sum256([]byte(sql))
	first, _, _ := strings.Cut(sql, "\n")
	return hub.Source{File: file, SQL: sql, Checksum: hex.EncodeToString(sum[:]), NoTransaction: strings.TrimSpace(first) == noTransaction}
}

// addScript puts a script in its place in the feature once both dialects are there.
func (l *loader) addScript(f *feature, name string, text map[hub.Dialect]hub.Source) {
	for i, d := range dialects {
		if _, ok := text[d]; ok {
			continue
		}
		has := text[dialects[1-i]]
		l.add(has.File, 1, RuleMissingDialect, fmt.Sprintf("Write %s.%s.sql beside it; if this text is portable, name it %s.sql.", name, d, name), "%s of feature %q has no text for %s", name, f.Name, d)
		return
	}
	switch name {
	case "seed":
		f.Seeds = append(f.Seeds, hub.Script{Name: name, Text: text})
	case "check":
		f.Checks = append(f.Checks, hub.Script{Name: name, Text: text})
	default:
		f.Migrations = append(f.Migrations, hub.Script{Name: name, Text: text})
	}
}
