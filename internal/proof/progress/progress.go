// Package progress shows how far long work has come: a bar on a terminal, a line now and then in a pipe.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// lineEvery is how often a pipe is told: seldom enough that what is quickly done says nothing.
const lineEvery = 15 * time.Second

// Bar counts up to a known number. Its methods are safe for concurrent use.
type Bar struct {
	bar *progressbar.ProgressBar // nil in a pipe

	mu          sync.Mutex
	w           io.Writer
	label       string
	done, total int
	told        time.Time
}

// New shows a bar on w if that is a terminal; else w gets a line from time to time.
func New(w io.Writer, label string, total int) *Bar {
	if !IsTerminal(w) {
		return &Bar{w: w, label: label, total: total, told: time.Now()}
	}
	return &Bar{bar: progressbar.NewOptions(total,
		progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(label), progressbar.OptionShowCount(),
		progressbar.OptionSetWidth(30), progressbar.OptionThrottle(50*time.Millisecond), progressbar.OptionSetPredictTime(true),
		progressbar.OptionUseANSICodes(true), progressbar.OptionSetRenderBlankState(true),
		progressbar.OptionOnCompletion(func() { _, _ = io.WriteString(w, "\n") }))}
}

// IsTerminal says whether a person is watching w.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) //nolint:gosec // a file descriptor fits an int
}

// Add counts n more. What cannot be shown is no reason to stop.
func (b *Bar) Add(n int) {
	if b.bar != nil {
		_ = b.bar.Add(n)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done += n
	if time.Since(b.told) >= lineEvery {
		b.told = time.Now()
		_, _ = fmt.Fprintf(b.w, "%s: %d of %d\n", b.label, b.done, b.total)
	}
}

// Close ends a bar that did not get to its end.
func (b *Bar) Close() {
	if b.bar != nil && !b.bar.IsFinished() {
		_ = b.bar.Exit()
	}
}
