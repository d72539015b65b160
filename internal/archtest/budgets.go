package archtest

import (
	"fmt"
	"go/ast"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// The budgets of docs/architecture.md. A file should stay under 400 lines; 600 is where it fails.
const (
	maxFileLines     = 600
	maxFunctionLines = 80
	maxPackageLines  = 3500
	maxDependencies  = 50
)

// Files checks the length of every file.
func Files(t *Tree) []Finding {
	var found []Finding
	for _, f := range t.Files {
		if !f.Generated && f.Lines > maxFileLines {
			found = append(found, Finding{"file", f.Path, fmt.Sprintf("%d lines, at most %d: split it by topic", f.Lines, maxFileLines)})
		}
	}
	return found
}

// Functions checks the length of every function outside the tests, whose tables may be as long as their cases.
func Functions(t *Tree) []Finding {
	var found []Finding
	for _, f := range t.Files {
		if f.Generated || f.Test {
			continue
		}
		for _, decl := range f.AST.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := t.Fset.Position(fn.End()).Line - t.Fset.Position(fn.Pos()).Line + 1
			if lines > maxFunctionLines {
				found = append(found, Finding{"function", f.Path + ":" + fn.Name.Name, fmt.Sprintf("%d lines, at most %d", lines, maxFunctionLines)})
			}
		}
	}
	return found
}

// Packages checks the length of every package without its tests.
func Packages(t *Tree) []Finding {
	lines := map[string]int{}
	for _, f := range t.Files {
		if !f.Generated && !strings.HasSuffix(f.Path, "_test.go") {
			lines[f.Dir] += f.Lines
		}
	}
	var found []Finding
	for _, dir := range slices.Sorted(maps.Keys(lines)) {
		if lines[dir] > maxPackageLines {
			found = append(found, Finding{"package", dir, fmt.Sprintf("%d lines, at most %d: what stands alone can be a package below it", lines[dir], maxPackageLines)})
		}
	}
	return found
}

// Dependencies counts the modules that our code, with its tests, imports itself. It asks the imports rather than
// go.mod, whose "indirect" remarks are only as true as the last tidy.
func Dependencies(t *Tree) []Finding {
	gomod, err := fs.ReadFile(t.FS, "go.mod")
	if err != nil {
		return []Finding{{"dependencies", "go.mod", err.Error()}}
	}
	required := requires(string(gomod))
	direct := map[string]bool{}
	for _, f := range t.Files {
		for _, imported := range f.Imports {
			if mod, ok := moduleOf(required, imported); ok {
				direct[mod] = true
			}
		}
	}
	if len(direct) <= maxDependencies {
		return nil
	}
	return []Finding{{"dependencies", "go.mod", fmt.Sprintf("%d direct dependencies, at most %d: %s", len(direct), maxDependencies, strings.Join(slices.Sorted(maps.Keys(direct)), " "))}}
}

// requires reads the module paths of go.mod: the lines whose second word is a version.
func requires(gomod string) []string {
	var mods []string
	for line := range strings.Lines(gomod) {
		words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(words) >= 2 && strings.HasPrefix(words[1], "v") {
			mods = append(mods, words[0])
		}
	}
	return mods
}

// moduleOf finds the module with the longest path that holds the imported package.
func moduleOf(required []string, imported string) (string, bool) {
	best := ""
	for _, mod := range required {
		if under(imported, mod) && len(mod) > len(best) {
			best = mod
		}
	}
	return best, best != ""
}
