package progress

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A pipe is told now and then, and what is quickly done says nothing.
func TestLinesInAPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		b := New(&out, "kills", 100)
		for range 100 {
			<-time.After(time.Second)
			b.Add(1)
		}
		b.Close()
		if got, want := out.String(), "kills: 15 of 100\nkills: 30 of 100\nkills: 45 of 100\nkills: 60 of 100\nkills: 75 of 100\nkills: 90 of 100\n"; got != want {
			t.Errorf("%q", got)
		}
		out.Reset()
		b = New(&out, "quick", 2)
		b.Add(2)
		b.Close()
		if out.Len() > 0 {
			t.Errorf("%q", out.String())
		}
	})
}
