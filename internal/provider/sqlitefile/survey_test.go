package sqlitefile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
)

func surveyed(t *testing.T, p *Provider) map[string]hub.Found {
	t.Helper()
	v, err := p.Survey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Parts) != 1 || len(v.Whole) != 1 {
		t.Errorf("parts %q, whole %q", v.Parts, v.Whole)
	}
	out := map[string]hub.Found{}
	for _, f := range v.Found {
		out[f.Name] = f
	}
	return out
}

// TestSurvey shows databases by their names, those in quarantine too, and nothing else that lies in the directory.
func TestSurvey(t *testing.T) {
	dir := t.TempDir()
	p, err := New(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"notes.txt", "ten_1.g0.db", "ten_1.g01.db", ".ten_1.g1.db", "ten_1.g1.db-wal", "ten_x.db", "ten_1.g99999999999999999999.db"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "ten_2.g1.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := surveyed(t, p); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	b, c := planned(t, p, "ten_3")
	if err := p.Create(t.Context(), b, c, hub.Template{}); err != nil {
		t.Fatal(err)
	}
	want := hub.Found{Provider: Name, Name: b.Place, Place: b.Place, Kind: hub.FoundDatabase, State: hub.FoundWhole, Owner: b, Open: true}
	if got := surveyed(t, p); len(got) != 1 || !reflect.DeepEqual(got[b.Place], want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	want.Open = false
	if err := p.Quarantine(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if got := surveyed(t, p); len(got) != 1 || !reflect.DeepEqual(got[b.Place], want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func planned(t *testing.T, p *Provider, id string) (hub.Backend, hub.Credentials) {
	t.Helper()
	b, c, err := p.Plan(t.Context(), id, 1)
	if err != nil {
		t.Fatal(err)
	}
	return b, c
}

// TestQuarantineLosesNothing: what is only in the log of an open database goes along and comes back, also after a kill between two renames.
func TestQuarantineLosesNothing(t *testing.T) {
	p, err := New(Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	b, c := planned(t, p, "ten_1")
	if err := p.Create(t.Context(), b, c, hub.Template{}); err != nil {
		t.Fatal(err)
	}
	holding, err := p.Open(t.Context(), b, c, hub.RoleOwner) // a program that has it open: the log stays
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holding.Close() }()
	for _, sql := range []string{`CREATE TABLE things (id INTEGER)`, `INSERT INTO things VALUES (7)`} {
		if _, err := holding.ExecContext(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // each may be repeated
		if err := p.Quarantine(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Open(t.Context(), b, c, hub.RoleTenant); err == nil {
		t.Error("it can still be opened")
	}
	f := surveyed(t, p)[b.Place]
	sees := func(what string) {
		t.Helper()
		db, err := p.Peek(context.WithoutCancel(t.Context()), f)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		var n int
		if err := db.QueryRowContext(t.Context(), `SELECT id FROM things`).Scan(&n); err != nil || n != 7 {
			t.Errorf("%s: %d, %v", what, n, err)
		}
		if _, err := db.ExecContext(t.Context(), `DELETE FROM things`); err == nil {
			t.Error("whoever peeks can write")
		}
	}
	sees("in quarantine")
	path, err := p.path(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(p.shut(path)+"-wal", path+"-wal"); err != nil { // killed while it came back
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Release(t.Context(), b, hub.Credentials{}); err != nil {
			t.Fatal(err)
		}
	}
	f = surveyed(t, p)[b.Place]
	sees("after it came back")
	if err := p.Quarantine(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := p.Create(t.Context(), b, c, hub.Template{}); err != nil { // somebody made another
		t.Fatal(err)
	}
	if err := p.Release(t.Context(), b, hub.Credentials{}); err == nil {
		t.Error("one of two was overwritten")
	}
	if err := p.Drop(t.Context(), b, c); err != nil {
		t.Fatal(err)
	}
	if got := surveyed(t, p); len(got) != 0 {
		t.Errorf("after the drop: %+v", got)
	}
	var step *hub.StepError
	if err := p.Quarantine(t.Context(), b); !errors.As(err, &step) || step.Class != hub.ClassData {
		t.Errorf("one that is not there: %v", err)
	}
	if err := p.Clear(t.Context(), f); err == nil {
		t.Error("there is nothing half made here")
	}
}
