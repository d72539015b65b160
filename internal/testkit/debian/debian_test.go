package debian_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/kitshub/kitshub/internal/testkit/debian"
)

// program puts an executable that does nothing, or fails, into a directory.
func program(t *testing.T, dir, name, text string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", filepath.Join(dir, "path"))
	program(t, filepath.Join(dir, "pg", "14", "bin"), "kitshub-tool", "")
	newest := program(t, filepath.Join(dir, "pg", "15", "bin"), "kitshub-tool", "")
	glob := []string{filepath.Join(dir, "pg", "*", "bin")}
	if got, ok := debian.Find([]string{"kitshub-tool"}, glob); !ok || got != newest {
		t.Errorf("found %q %v, want the newest version %q", got, ok, newest)
	}
	onPath := program(t, filepath.Join(dir, "path"), "kitshub-tool", "")
	if got, ok := debian.Find([]string{"kitshub-tool"}, glob); !ok || got != onPath {
		t.Errorf("found %q %v, want the one on PATH %q", got, ok, onPath)
	}
	if got, ok := debian.Find([]string{"kitshub-other"}, glob); ok {
		t.Errorf("found %q, which does not exist", got)
	}
}

func TestInstallSaysWhatToDo(t *testing.T) {
	never := func() bool { return false }
	t.Setenv("PATH", t.TempDir())
	if err := debian.Install(t.Context(), "postgresql", never); !errors.Is(err, debian.ErrCannotInstall) {
		t.Errorf("without apt-get: %v", err)
	}
}

func TestInstall(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("TMPDIR", dir) // the lock's place
	log := filepath.Join(dir, "log")
	// An apt-get that can install only after an update, as on a fresh image.
	program(t, dir, "apt-get", `echo "$5" >>`+log+`; case "$5" in update) touch `+dir+`/lists ;; install) test -e `+dir+`/lists && touch `+dir+`/installed ;; esac`)
	found := func() bool { _, err := os.Stat(filepath.Join(dir, "installed")); return err == nil }
	err := debian.Install(t.Context(), "postgresql", found)
	if os.Geteuid() != 0 {
		if !errors.Is(err, debian.ErrCannotInstall) {
			t.Errorf("as an ordinary user: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := debian.Install(t.Context(), "postgresql", found); err != nil {
		t.Error(err)
	}
	got, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if want := "install\nupdate\ninstall\n"; string(got) != want {
		t.Errorf("apt-get was asked for %q, want %q", got, want)
	}
}
