//go:build unix

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/testkit"
	"github.com/kitshub/kitshub/internal/testkit/pgserver"
)

// TestMain makes this test binary be kitshub when it is called by that name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"kitshub": main})
}

// TestScripts runs the promises in testdata/script against the real binary, each on both engines. The commands that are ours are in
// script_commands_test.go.
func TestScripts(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			server := ""
			if engine == "postgres" {
				server = testkit.ServerURL(t)
			}
			testscript.Run(t, params("testdata/script", engine, func(env *testscript.Env) error {
				env.Values[serverKey{}] = func() string { return testkit.ServerURL(t) }
				return hubEnv(env, engine, server)
			}))
		})
	}
}

// TestScriptsWithoutHub runs those in which no hub gets to serve.
func TestScriptsWithoutHub(t *testing.T) {
	t.Parallel()
	testscript.Run(t, params("testdata/script/nohub", "sqlite", func(env *testscript.Env) error { return hubEnv(env, "sqlite", "") }))
}

// params lets a script say [sqlite] or [postgres] before what only one engine can do.
func params(dir, engine string, setup func(*testscript.Env) error) testscript.Params {
	return testscript.Params{
		Dir: dir, Setup: setup, Cmds: commands, RequireExplicitExec: true, RequireUniqueNames: true,
		Condition: func(cond string) (bool, error) { return cond == engine, nil },
	}
}

// hubEnv gives a script a place of its own for its hub.
func hubEnv(env *testscript.Env, engine, server string) error {
	listen, err := drive.FreeAddr()
	if err != nil {
		return err
	}
	env.Setenv("ENGINE", engine)
	env.Setenv("DATA_DIR", filepath.Join(env.WorkDir, "data"))
	env.Setenv("LISTEN_ADDR", listen)
	env.Setenv("HUB", "http://"+listen)
	env.Setenv("RATE_LIMITS", "off")
	env.Setenv("LOG_LEVEL", "warn")
	name, value, _ := strings.Cut(drive.PatientConnect, "=")
	env.Setenv(name, value)
	env.Setenv("TMPDIR", os.TempDir())
	if engine == "postgres" {
		home, err := pgserver.CreateHome(context.Background(), server)
		if err != nil {
			return err
		}
		env.Setenv("DATABASE_URL", home.URL)
		env.Defer(func() {
			if err := home.Drop(context.Background()); err != nil {
				env.T().Log(err)
			}
		})
	}
	s := newSession("http://" + listen)
	env.Values[sessionKey{}] = s
	env.Defer(s.close)
	return nil
}
