package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// PackageComments checks that each package says what it is.
func PackageComments(t *Tree) []Finding {
	has := map[string]bool{}
	for _, f := range t.Files {
		if strings.HasSuffix(f.Path, "_test.go") {
			continue
		}
		has[f.Dir] = has[f.Dir] || f.AST.Doc != nil
	}
	var found []Finding
	for _, dir := range slices.Sorted(maps.Keys(has)) {
		if !has[dir] {
			found = append(found, Finding{"package-comment", dir, "has no package comment; say what it does and what it does not"})
		}
	}
	return found
}

// documented are the packages whose exported names others build on.
var documented = []string{"internal/hub", "internal/provider", "internal/vault"}

// Docs checks that every exported name of those packages has a comment. One over a group is enough for its members.
func Docs(t *Tree) []Finding {
	var found []Finding
	for _, f := range t.Files {
		if f.Test || f.Generated || !slices.ContainsFunc(documented, func(dir string) bool { return under(f.Dir, dir) }) {
			continue
		}
		for _, decl := range f.AST.Decls {
			for _, name := range bare(decl) {
				found = append(found, Finding{"docs", f.Path + ":" + name, "is exported and has no comment"})
			}
		}
	}
	return found
}

// bare gives the exported names of a declaration that nothing explains.
func bare(decl ast.Decl) []string {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d.Recv) {
			return []string{d.Name.Name}
		}
	case *ast.GenDecl:
		if d.Tok == token.IMPORT || d.Doc != nil {
			return nil
		}
		var names []string
		for _, spec := range d.Specs {
			names = append(names, bareSpec(spec)...)
		}
		return names
	}
	return nil
}

func bareSpec(spec ast.Spec) []string {
	var names []string
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Doc == nil && s.Comment == nil && s.Name.IsExported() {
			names = append(names, s.Name.Name)
		}
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if s.Doc == nil && s.Comment == nil && name.IsExported() {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

// exportedReceiver reports whether a method belongs to a type that others can name; a function has no receiver.
func exportedReceiver(recv *ast.FieldList) bool {
	if recv == nil || len(recv.List) == 0 {
		return true
	}
	exported := false
	ast.Inspect(recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			exported = id.IsExported()
			return false // the first name is the type's; what follows are its parameters
		}
		return true
	})
	return exported
}

// Codes checks that every code of the domain has its line in the API's table. The table is in httpapi/wire; while that
// package does not exist there is nothing to check, and the fixtures see to it that nothing else is let through.
func Codes(t *Tree) []Finding {
	const table = "internal/httpapi/wire"
	if _, err := fs.Stat(t.FS, table); err != nil {
		return nil
	}
	keys := map[string]bool{}
	codes := map[string]string{} // name → file
	for _, f := range t.Files {
		switch {
		case f.Dir == table && !f.Test:
			for name := range tableKeys(f.AST) {
				keys[name] = true
			}
		case f.Dir == "internal/hub" && !f.Test:
			for _, name := range codeConstants(f.AST) {
				codes[name] = f.Path
			}
		}
	}
	var found []Finding
	for _, name := range slices.Sorted(maps.Keys(codes)) {
		if !keys[name] {
			found = append(found, Finding{"codes", codes[name] + ":" + name, "has no status in the API's table of codes"})
		}
	}
	if len(codes) == 0 {
		found = append(found, Finding{"codes", "internal/hub", "has no constant of type Code; this check looks in the wrong place"})
	}
	return found
}

// codeConstants gives the names of the constants of type Code.
func codeConstants(f *ast.File) []string {
	var names []string
	for _, decl := range f.Decls {
		d, ok := decl.(*ast.GenDecl)
		if !ok || d.Tok != token.CONST {
			continue
		}
		for _, spec := range d.Specs {
			value, ok := spec.(*ast.ValueSpec)
			if !ok {
				continue
			}
			if typ, ok := value.Type.(*ast.Ident); !ok || typ.Name != "Code" {
				continue
			}
			for _, name := range value.Names {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

// tableKeys gives the X of every hub.X that stands left of a colon in a literal.
func tableKeys(f *ast.File) map[string]bool {
	keys := map[string]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		pair, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		if sel, ok := pair.Key.(*ast.SelectorExpr); ok {
			if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "hub" {
				keys[sel.Sel.Name] = true
			}
		}
		return true
	})
	return keys
}

// forbiddenCalls are calls that spoil a test, or a helper, wherever they stand.
func forbiddenCall(f *File, pkg, name string) string {
	inTest := strings.HasSuffix(f.Path, "_test.go") || f.Test
	switch {
	case inTest && pkg == "time" && name == "Sleep":
		return "a test waits for a signal, never for time to pass"
	case inTest && slices.Contains([]string{"t", "b", "tb", "f"}, pkg) && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, name):
		return "a skipped test looks like one that passed; let it fail and say what is missing"
	case !inTest && f.AST.Name.Name != "main" && pkg == "os" && name == "Exit":
		return "only main ends the process; return the error"
	case !inTest && f.AST.Name.Name != "main" && pkg == "log" && strings.HasPrefix(name, "Fatal"):
		return "only main ends the process; return the error"
	}
	return ""
}

// Calls checks for calls that have no place where they stand.
func Calls(t *Tree) []Finding {
	var found []Finding
	for _, f := range t.Files {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := sel.X.(*ast.Ident); ok {
				if what := forbiddenCall(f, pkg.Name, sel.Sel.Name); what != "" {
					line := t.Fset.Position(sel.Pos()).Line
					found = append(found, Finding{"calls", f.Path, fmt.Sprintf("line %d: %s.%s: %s", line, pkg.Name, sel.Sel.Name, what)})
				}
			}
			return true
		})
	}
	return found
}

// foreign finds what is true of one machine only: absolute paths of somebody's home or workplace, and hosts that
// serve packages, which the user's own tools are set up for. Its own text is written so as not to match itself.
var foreign = regexp.MustCompile(`(^|[\s"'` + "`" + `(=:,])/(work|ro{2}t|home/[a-z]\w*|Users/[A-Za-z]\w*)/` +
	`|proxy\.golang\.[o]rg|goproxy\.[a-z]+|deb\.debian\.[o]rg|registry\.npmjs\.[o]rg`)

// maxText leaves out what no person wrote.
const maxText = 1 << 20

// Places checks every text file of the repository for machine paths and registry hosts.
func Places(t *Tree) []Finding {
	var found []Finding
	err := fs.WalkDir(t.FS, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != "." && skipped(p) {
				return fs.SkipDir
			}
			return nil
		}
		if info, err := d.Info(); err != nil || !info.Mode().IsRegular() || info.Size() > maxText || path.Base(p) == "go.sum" {
			return nil //nolint:nilerr // a file that vanished while we walk is no breach
		}
		text, err := fs.ReadFile(t.FS, p)
		if err != nil || bytes.IndexByte(text, 0) >= 0 {
			return nil //nolint:nilerr // as above; and binary files are not read
		}
		for i, line := range bytes.Split(text, []byte("\n")) {
			if m := foreign.Find(line); m != nil {
				found = append(found, Finding{"places", p, fmt.Sprintf("line %d: %q is true of one machine only", i+1, bytes.TrimSpace(m))})
			}
		}
		return nil
	})
	if err != nil {
		found = append(found, Finding{"places", ".", err.Error()})
	}
	return found
}
