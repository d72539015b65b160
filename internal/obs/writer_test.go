package obs

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// outs keeps each write apart.
type outs struct {
	mu  sync.Mutex
	all []string
	err error
}

func (o *outs) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, string(p))
	return len(p), o.err
}

func TestWriterGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outs
		w := NewWriter(&o)
		write := func(line string) {
			t.Helper()
			if n, err := w.Write([]byte(line)); n != len(line) || err != nil {
				t.Error(n, err)
			}
		}
		want := func(all ...string) {
			t.Helper()
			synctest.Wait()
			o.mu.Lock()
			defer o.mu.Unlock()
			if strings.Join(o.all, "|") != strings.Join(all, "|") {
				t.Errorf("%q, not %q", o.all, all)
			}
			o.all = nil
		}
		write("alone\n")
		want("alone\n")
		write("second\n")
		write("third\n")
		want()
		<-time.After(gatherFor) // the bubble's clock: it takes no time
		want("second\nthird\n")
		<-time.After(time.Minute) // the bubble's clock: it takes no time
		write("alone again\n")
		want("alone again\n")
		write(strings.Repeat("x", gatherMost))
		want(strings.Repeat("x", gatherMost))
		write("last\n")
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		want("last\n")
		write("late\n")
		want("late\n")
		<-time.After(time.Minute) // the bubble's clock: it takes no time
		want()
	})
}

// What warns takes all before it along, and in order.
func TestWarningsAreNotHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, format := range []string{"json", "text"} {
			var o outs
			l := NewLogger(NewWriter(&o), slog.LevelInfo, format).With("a", 1).WithGroup("g")
			l.Info("one")
			l.Info("two")
			l.Warn("three")
			if len(o.all) != 2 || !strings.Contains(o.all[0], "one") || strings.Index(o.all[1], "two") > strings.Index(o.all[1], "three") {
				t.Errorf("%q", o.all)
			}
		}
	})
}

func TestWriterTellsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := outs{err: errors.New("full")}
		w := NewWriter(&o)
		if _, err := w.Write([]byte("one\n")); !errors.Is(err, o.err) {
			t.Error(err)
		}
		if _, err := w.Write([]byte("two\n")); err != nil {
			t.Error("told twice", err)
		}
		<-time.After(time.Minute) // the bubble's clock: it takes no time
		if _, err := w.Write([]byte("three\n")); !errors.Is(err, o.err) {
			t.Error("that the second was lost is not told", err)
		}
	})
}

// gate lets a write through for each value it is sent.
type gate struct {
	outs
	open chan struct{}
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	return g.outs.Write(p)
}

// A reader of the log that is slow for a moment holds nobody up; one that stays slow holds up who logs, and no line is lost or out of order.
func TestSlowReaderOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate{open: make(chan struct{})}
		w := NewWriter(&g)
		line := strings.Repeat("x", gatherMost/4-1) + "\n"
		written := make(chan int, 100)
		go func() {
			for i := range 10 {
				if _, err := w.Write([]byte(line)); err != nil {
					t.Error(err)
				}
				written <- i
			}
		}()
		synctest.Wait()
		if len(written) != 0 {
			t.Error("the first line goes out at once, by who wrote it")
		}
		go func() {
			if _, err := w.Write([]byte("another\n")); err != nil {
				t.Error(err)
			}
			written <- -1
		}()
		synctest.Wait()
		if len(written) != 1 {
			t.Error("another waits for the slow reader")
		}
		g.open <- struct{}{}
		synctest.Wait()
		<-time.After(time.Second) // the bubble's clock: it takes no time
		if n := len(written); n < 4 || n > 7 {
			t.Errorf("%d were written to a reader that read one", n)
		}
		close(g.open)
		<-time.After(time.Second) // the bubble's clock: it takes no time
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if all := strings.Join(g.all, ""); len(written) != 11 || strings.Count(all, line) != 10 || strings.Count(all, "another") != 1 {
			t.Errorf("%d written, %d bytes came out", len(written), len(all))
		}
	})
}
