package archtest

import (
	"os"
	"testing"
)

// rules is everything that is checked, by the name its findings carry.
var rules = []struct {
	name  string
	check func(*Tree) []Finding
}{
	{"arrows", Arrows},
	{"file", Files},
	{"function", Functions},
	{"package", Packages},
	{"dependencies", Dependencies},
	{"package-comment", PackageComments},
	{"docs", Docs},
	{"codes", Codes},
	{"calls", Calls},
	{"places", Places},
}

func TestArchitecture(t *testing.T) {
	tree, err := Load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	// A walk that found little would pass every rule.
	if len(tree.Files) < 50 {
		t.Fatalf("only %d Go files were read; this test looks in the wrong place", len(tree.Files))
	}
	var found []Finding
	for _, rule := range rules {
		found = append(found, rule.check(tree)...)
	}
	for _, f := range except(found, exceptions) {
		t.Error(f)
	}
}
