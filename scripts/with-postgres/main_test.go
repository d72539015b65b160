//go:build unix

package main

import "testing"

func TestRun(t *testing.T) {
	t.Setenv(variable, "postgres://given")
	for _, c := range []struct {
		name string
		args []string
		want int
	}{
		{"the command's code is ours", []string{"sh", "-c", "exit 7"}, 7},
		{"a given server is passed on", []string{"sh", "-c", `test "$TEST_POSTGRES_URL" = postgres://given`}, 0},
		{"killed", []string{"sh", "-c", "kill -9 $$"}, 1},
		{"no such command", []string{"kitshub-no-such-command"}, 1},
		{"no command", nil, 2},
	} {
		if got := run(false, false, c.args); got != c.want {
			t.Errorf("%s: code %d, want %d", c.name, got, c.want)
		}
	}
	t.Setenv(variable, "")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if got := run(false, false, []string{"sh", "-c", `case $TEST_POSTGRES_URL in postgres://*) exit 0 ;; esac; exit 1`}); got != 0 {
		t.Errorf("without a given server: code %d", got)
	}
	if got := run(false, true, []string{"sh", "-c", `read -r url <"${TEST_POSTGRES_URL#file:}" || true; case $url in postgres://*) exit 0 ;; esac; exit 1`}); got != 0 {
		t.Errorf("with the address in a file: code %d", got)
	}
}
