package providertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
)

func createCopiesTheTemplate(t *testing.T, s suite) {
	p, tpl := s.open(), newTemplate("k1", nil)
	for i := range 3 {
		x := s.plan(p, fmt.Sprintf("ten_%d", i), 1)
		s.create(p, x, tpl.Template)
		s.wantItems(p, x, seeded)
	}
	if n := tpl.builds.Load(); n != 1 {
		t.Errorf("the template was built %d times for three tenants, want once", n)
	}
	again := s.open() // another process, or this one after a restart
	x := s.plan(again, "ten_later", 1)
	s.create(again, x, tpl.Template)
	s.wantItems(again, x, seeded)
	if n := tpl.builds.Load(); n != 1 {
		t.Errorf("the template was built %d times over a restart, want once", n)
	}
	other := newTemplate("k2", nil)
	y := s.plan(p, "ten_other", 1)
	s.create(p, y, other.Template)
	if other.builds.Load() != 1 {
		t.Error("a template of another key was not built")
	}
}

func createKeepsWhatIsThere(_ *testing.T, s suite) {
	p, tpl := s.open(), newTemplate("k1", nil)
	x := s.plan(p, "ten_1", 1)
	s.create(p, x, tpl.Template)
	s.exec(p, x, `INSERT INTO items VALUES (100, 'written by the tenant')`)
	s.create(p, x, tpl.Template)
	s.create(s.open(), x, hub.Template{})
	s.wantItems(p, x, seeded+1)
}

func createWithoutTemplateIsEmpty(_ *testing.T, s suite) {
	p := s.open()
	x := s.plan(p, "ten_1", 1)
	s.create(p, x, hub.Template{})
	s.wantItems(p, x, -1)
	s.exec(p, x, `CREATE TABLE items (id INTEGER PRIMARY KEY)`)
	s.wantItems(p, x, 0)
}

func createWithBrokenCatalogIsEmpty(_ *testing.T, s suite) {
	p := s.open()
	broken := newTemplate("k1", func(context.Context) error {
		return &hub.StepError{Class: hub.ClassCatalog, File: "features/x/0001.sql", Line: 7, Err: errors.New("no such table")}
	})
	x := s.plan(p, "ten_1", 1)
	s.create(p, x, broken.Template)
	s.wantItems(p, x, -1) // the pipeline takes it from here, step by step
	y := s.plan(p, "ten_2", 1)
	s.create(p, y, newTemplate("k2", nil).Template)
	s.wantItems(p, y, seeded) // another key is another text: it owes nothing to the broken one
}

func createAfterFailedBuild(t *testing.T, s suite) {
	p := s.open()
	cause := errors.New("something unforeseen")
	x := s.plan(p, "ten_1", 1)
	err := p.Create(t.Context(), x.Backend, x.Credentials, newTemplate("k1", func(context.Context) error { return cause }).Template)
	if !errors.Is(err, cause) {
		t.Errorf("got %v, want the builder's error", err)
	}
	full := &hub.StepError{Class: hub.ClassQuota, Code: "FULL", Err: errors.New("disk full")}
	err = p.Create(t.Context(), x.Backend, x.Credentials, newTemplate("k1", func(context.Context) error { return full }).Template)
	if !errors.Is(err, full) {
		t.Errorf("got %v, want the builder's fault of class quota", err)
	}
	if _, err := p.Size(t.Context(), x.Backend, x.Credentials); err == nil {
		t.Error("a failed create left a database")
	}
	s.create(p, x, newTemplate("k1", nil).Template)
	s.wantItems(p, x, seeded)
}

func createAfterCancelledBuild(t *testing.T, s suite) {
	p := s.open()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cut := newTemplate("k1", func(ctx context.Context) error { cancel(); return ctx.Err() })
	x := s.plan(p, "ten_1", 1)
	if err := p.Create(ctx, x.Backend, x.Credentials, cut.Template); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	for _, again := range []hub.Provider{p, s.open()} {
		y := s.plan(again, "ten_1", 1)
		s.create(again, y, newTemplate("k1", nil).Template)
		s.wantItems(again, y, seeded)
	}
}

func createEndsWithItsContext(t *testing.T, s suite) {
	p := s.open()
	x := s.plan(p, "ten_1", 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Create(ctx, x.Backend, x.Credentials, newTemplate("k1", nil).Template); !errors.Is(err, context.Canceled) {
		t.Errorf("Create: %v, want the context's error", err)
	}
	s.create(p, x, newTemplate("k1", nil).Template)
	if db, err := p.Open(ctx, x.Backend, x.Credentials, hub.RoleOwner); !errors.Is(err, context.Canceled) {
		t.Errorf("Open: %v, %v; want the context's error", db, err)
	}
	if err := p.Drop(ctx, x.Backend, x.Credentials); !errors.Is(err, context.Canceled) {
		t.Errorf("Drop: %v, want the context's error", err)
	}
	s.wantItems(p, x, seeded)
}

func copiesAreIndependent(_ *testing.T, s suite) {
	p, tpl := s.open(), newTemplate("k1", nil)
	x, y, z := s.plan(p, "ten_1", 1), s.plan(p, "ten_2", 1), s.plan(p, "ten_3", 1)
	s.create(p, x, tpl.Template)
	s.create(p, y, tpl.Template)
	s.exec(p, x, `DELETE FROM items`)
	s.create(p, z, tpl.Template)
	s.wantItems(p, x, 0)
	s.wantItems(p, y, seeded)
	s.wantItems(p, z, seeded)
}

func generationsAreIndependent(t *testing.T, s suite) {
	p, tpl := s.open(), newTemplate("k1", nil)
	first, second := s.plan(p, "ten_1", 1), s.plan(p, "ten_1", 2)
	s.create(p, first, tpl.Template)
	s.exec(p, first, `DELETE FROM items`)
	s.create(p, second, tpl.Template)
	s.wantItems(p, second, seeded)
	if err := p.Drop(t.Context(), first.Backend, first.Credentials); err != nil {
		t.Fatal(err)
	}
	s.wantItems(p, second, seeded)
}

// Two workers of two processes, one of them slow and thought dead, may create the same backend.
func concurrentCreatesOfOneTenant(t *testing.T, s suite) {
	const workers = 4
	tpl := newTemplate("k1", nil)
	providers := []hub.Provider{s.open(), s.open()}
	x := s.plan(providers[0], "ten_1", 1) // they read what was written down before
	var wg sync.WaitGroup
	for i := range workers {
		p := providers[i%len(providers)]
		wg.Go(func() {
			if err := p.Create(t.Context(), x.Backend, x.Credentials, tpl.Template); err != nil {
				t.Errorf("creating: %v", err)
				return
			}
			db, err := p.Open(t.Context(), x.Backend, x.Credentials, hub.RoleOwner)
			if err != nil {
				t.Errorf("opening: %v", err)
				return
			}
			defer func() { _ = db.Close() }()
			if _, err := db.ExecContext(t.Context(), fmt.Sprintf(`INSERT INTO items VALUES (%d, 'worker')`, 100+i)); err != nil {
				t.Errorf("writing: %v", err)
			}
		})
	}
	wg.Wait()
	s.wantItems(providers[0], x, seeded+workers) // no write went to a file that another copy replaced
}

func concurrentCreatesOfManyTenants(t *testing.T, s suite) {
	const tenants = 8
	p, tpl := s.open(), newTemplate("k1", nil)
	var all []tenant
	for i := range tenants {
		all = append(all, s.plan(p, fmt.Sprintf("ten_%d", i), 1))
	}
	var wg sync.WaitGroup
	for _, x := range all {
		wg.Go(func() {
			if err := p.Create(t.Context(), x.Backend, x.Credentials, tpl.Template); err != nil {
				t.Errorf("creating %s: %v", x.TenantID, err)
			}
		})
	}
	wg.Wait()
	for _, x := range all {
		s.wantItems(p, x, seeded)
	}
	if n := tpl.builds.Load(); n != 1 {
		t.Errorf("the template was built %d times, want once", n)
	}
}
