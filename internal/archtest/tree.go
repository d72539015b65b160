package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// module is our import path; what begins with it is ours.
const module = "github.com/kitshub/kitshub"

// File is one Go file.
type File struct {
	Path      string // from the root of the repository, with slashes
	Dir       string // the directory of Path, which names the package here
	Lines     int
	Test      bool // a _test.go file, or one of a package that only tests import (storetest, testkit …)
	Generated bool
	AST       *ast.File
	Imports   []string
}

// Tree is the repository as the rules see it.
type Tree struct {
	FS    fs.FS
	Files []*File
	Fset  *token.FileSet
}

// Finding is one breach of one rule.
type Finding struct {
	Rule  string
	Where string // a path, with ":name" for a function or import inside it
	What  string
}

// String is the line a person reads.
func (f Finding) String() string { return fmt.Sprintf("%s: %s: %s", f.Rule, f.Where, f.What) }

// skipDirs hold no source of ours: built files, data of a hub that was run here, tools' own places.
var skipDirs = []string{".git", "bin", "data", "dist", "node_modules", "tmp", "vendor", ".cache"}

// Load parses every Go file below the root, except testdata and other modules.
func Load(root fs.FS) (*Tree, error) {
	t := &Tree{FS: root, Fset: token.NewFileSet()}
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != "." && (skipped(p) || d.Name() == "testdata" || isModule(root, p)) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(p) != ".go" {
			return nil
		}
		f, err := t.parse(p)
		if err != nil {
			return err
		}
		t.Files = append(t.Files, f)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the tree: %w", err)
	}
	return t, nil
}

func (t *Tree) parse(p string) (*File, error) {
	text, err := fs.ReadFile(t.FS, p)
	if err != nil {
		return nil, err
	}
	parsed, err := parser.ParseFile(t.Fset, p, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &File{
		Path: p, Dir: path.Dir(p), Lines: bytes.Count(text, []byte("\n")), AST: parsed,
		Test: strings.HasSuffix(p, "_test.go") || testPackage(path.Dir(p)), Generated: ast.IsGenerated(parsed),
	}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		f.Imports = append(f.Imports, imported)
	}
	return f, nil
}

// testPackage reports whether a directory's package is part of the tests although its files do not end in _test.go.
func testPackage(dir string) bool {
	return under(dir, "internal/testkit") || under(dir, "internal/archtest") || strings.HasSuffix(dir, "test")
}

// under reports whether p is dir or lies below it.
func under(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// skipped looks at the top directory only: a package may well be called data.
func skipped(p string) bool { return slices.Contains(skipDirs, p) }

// isModule reports whether the directory is a module of its own (tools), whose dependencies are not the hub's.
func isModule(root fs.FS, dir string) bool {
	_, err := fs.Stat(root, path.Join(dir, "go.mod"))
	return err == nil
}

// ours gives the directory of an import path of this module.
func ours(imported string) (dir string, ok bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

// standard reports whether an import path is of the standard library: those have no dot in their first element.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}
