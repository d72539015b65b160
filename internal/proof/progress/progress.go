// Package progress shows how far long work has come: a bar on a terminal, nothing in a pipe.
package progress

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Bar counts up to a known number. Its methods are safe for concurrent use, also on a nil bar.
type Bar struct{ bar *progressbar.ProgressBar }

// New shows a bar on w if that is a terminal; else it gives one that shows nothing.
func New(w io.Writer, label string, total int) *Bar {
	if !IsTerminal(w) {
		return nil
	}
	return &Bar{progressbar.NewOptions(total,
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

// Add counts n more.
func (b *Bar) Add(n int) {
	if b != nil {
		_ = b.bar.Add(n) // what cannot be shown is no reason to stop
	}
}

// Close ends a bar that did not get to its end.
func (b *Bar) Close() {
	if b != nil && !b.bar.IsFinished() {
		_ = b.bar.Exit()
	}
}
