//go:build unix

package pgserver

import (
	"os"
	"testing"
)

// Whether chattr can or not, what is left is the one empty directory.
func TestMakeApart(t *testing.T) {
	for _, base := range []string{t.TempDir(), memoryDir} {
		if _, err := os.Stat(base); err != nil {
			continue // no Linux
		}
		dir, err := os.MkdirTemp(base, "apart-")
		if err != nil {
			t.Fatal(err)
		}
		made, err := makeApart(dir, "data")
		if err != nil {
			t.Error(err)
		}
		all, err := os.ReadDir(dir)
		if err != nil || len(all) != 1 || !all[0].IsDir() || all[0].Name() != "data" {
			t.Errorf("%s holds %v, %v", dir, all, err)
		}
		if in, err := os.ReadDir(made); err != nil || len(in) != 0 {
			t.Errorf("%s holds %v, %v", made, in, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}
}
