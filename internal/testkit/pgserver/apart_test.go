//go:build unix

package pgserver

import (
	"os"
	"testing"
)

// Whether chattr can or not, what is left is the one empty directory.
func TestMakeApart(t *testing.T) {
	dir := t.TempDir()
	made, err := makeApart(dir, "data")
	if err != nil {
		t.Fatal(err)
	}
	all, err := os.ReadDir(dir)
	if err != nil || len(all) != 1 || !all[0].IsDir() || all[0].Name() != "data" {
		t.Errorf("%s holds %v, %v", dir, all, err)
	}
	if in, err := os.ReadDir(made); err != nil || len(in) != 0 {
		t.Errorf("%s holds %v, %v", made, in, err)
	}
}
