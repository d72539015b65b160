package catalog_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kitshub/kitshub/internal/catalog"
)

func TestBuiltinLockIsFresh(t *testing.T) {
	if *update {
		if err := catalog.WriteLock("builtin"); err != nil {
			t.Fatal(err)
		}
	}
	want, err := catalog.Lock(os.DirFS("builtin"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("builtin/catalog.lock")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("catalog.lock is not that of the migrations; record new ones with `go test ./internal/catalog -run Lock -update` (-want +got):\n%s", diff)
	}
}

func TestWriteLockRecordsNewAndRefusesEdited(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	lock := func() string {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, "catalog.lock"))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	write("plans.yaml", "plans:\n  - {id: one, name: One, features: [notes]}\n")
	write("features/notes/feature.yaml", "name: notes\n")
	write("features/notes/0001_notes.sql", "CREATE TABLE notes (id text PRIMARY KEY);\n")
	if err := catalog.WriteLock(dir); err != nil {
		t.Fatal(err)
	}
	first := lock()
	write("features/notes/0002_more.sql", "CREATE TABLE more (id text PRIMARY KEY);\n")
	if err := catalog.WriteLock(dir); err != nil {
		t.Fatal(err)
	}
	second := lock()
	if !strings.HasPrefix(second, first) || strings.Count(second, "\n") != strings.Count(first, "\n")+1 {
		t.Errorf("the second lock is not the first and one line:\n%s", second)
	}

	write("features/notes/0001_notes.sql", "CREATE TABLE notes (id text PRIMARY KEY, body text);\n")
	err := catalog.WriteLock(dir)
	var bad *catalog.Error
	if !errors.As(err, &bad) || len(bad.Findings) != 1 || bad.Findings[0].Rule != catalog.RuleEdited {
		t.Errorf("an edited migration gave %v", err)
	}
	if got := lock(); got != second {
		t.Errorf("a refused WriteLock changed the file:\n%s", got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 3 {
		t.Errorf("WriteLock left files behind: %v", entries)
	}
}
