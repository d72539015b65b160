package cli

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// What an error says in several lines is one line of a table.
func TestTableKeepsItsLines(t *testing.T) {
	t.Parallel()
	dial := errors.Join(errors.New("10.0.0.1: refused"), errors.New("10.0.0.2:\ttimed out"))
	var b strings.Builder
	rows := [][]string{{"fail", "pool", fmt.Sprintf("connecting:\n\t%v\n", dial)}, {"ok", "key", ""}}
	if err := (output{}).print(&b, nil, []string{"STATUS", "CHECK", "WHAT IS SO"}, rows); err != nil {
		t.Fatal(err)
	}
	want := "STATUS  CHECK  WHAT IS SO\nfail    pool   connecting: 10.0.0.1: refused; 10.0.0.2: timed out\nok      key    \n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
