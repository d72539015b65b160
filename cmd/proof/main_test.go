package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want int
	}{
		{nil, exitUsage},
		{[]string{"nothing"}, exitUsage},
		{[]string{"kill9", "-n", "0"}, exitUsage},
		{[]string{"kill9", "-engine", "oracle"}, exitUsage},
		{[]string{"golden-copy", "stray"}, exitUsage},
		{[]string{"golden-copy", "-h"}, exitPassed},
		{[]string{"list"}, exitPassed},
		{[]string{"help"}, exitPassed},
	} {
		var out, log bytes.Buffer
		if got := run(t.Context(), tt.args, &out, &log); got != tt.want {
			t.Errorf("%v ends with %d instead of %d: %s", tt.args, got, tt.want, log.String())
		}
	}
}

// golden-copy is quick enough to show here, with and without its planted bug.
func TestGoldenCopy(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want int
		bug  bool
	}{
		{[]string{"golden-copy", "-n", "2"}, exitPassed, false},
		{[]string{"golden-copy", "-n", "1", "-sabotage"}, exitFailed, true},
		{[]string{"golden-copy", "-n", "1", "-engine", "postgres"}, exitFailed, false},
	} {
		var out, log bytes.Buffer
		if got := run(t.Context(), tt.args, &out, &log); got != tt.want {
			t.Errorf("%v ends with %d instead of %d: %s", tt.args, got, tt.want, log.String())
		}
		var line struct {
			Check      string
			Violations int
		}
		if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Check != "golden-copy" || (line.Violations > 0) != tt.bug {
			t.Errorf("%v prints %q (%v)", tt.args, out.String(), err)
		}
	}
}
