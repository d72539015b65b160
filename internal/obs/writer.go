package obs

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"
)

// Writer gathers what is written to it while much is written: a line that comes alone goes out at once, those that follow it within gatherFor
// go out together. A log to a pipe wakes its reader with every write, and at ten thousand calls a second that would cost the hub more than
// the lines themselves. A process that is killed loses the lines of the last gatherFor at most.
type Writer struct {
	out io.Writer

	mu     sync.Mutex
	lines  []byte
	last   time.Time // when something went out
	timer  *time.Timer
	closed bool
	err    error // of the last write, told to the next caller
}

const (
	gatherFor  = 10 * time.Millisecond
	gatherMost = 64 << 10
)

// NewWriter makes one; it must be closed, so that nothing is left in it.
func NewWriter(out io.Writer) *Writer {
	w := &Writer{out: out}
	w.timer = time.AfterFunc(time.Hour, func() { _ = w.Flush() }) // the next Write has the error
	w.timer.Stop()
	return w
}

// Write implements io.Writer for whole lines. Its error may be that of an earlier line.
func (w *Writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := len(w.lines) == 0
	w.lines = append(w.lines, line...)
	switch {
	case len(w.lines) >= gatherMost || w.closed || first && time.Since(w.last) > gatherFor:
		w.flush()
	case first:
		w.timer.Reset(gatherFor)
	}
	err := w.err
	w.err = nil
	return len(line), err
}

// Flush writes out what is left.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flush()
	return w.err
}

// Close is the last Flush; what is written later is not gathered any more.
func (w *Writer) Close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	return w.Flush()
}

func (w *Writer) flush() {
	w.timer.Stop()
	if len(w.lines) == 0 {
		return
	}
	if _, err := w.out.Write(w.lines); err != nil {
		w.err = err
	}
	w.lines, w.last = w.lines[:0], time.Now()
}

// urgent sends on warnings and errors at once, with all that was logged before them.
type urgent struct {
	slog.Handler
	w *Writer
}

// Handle implements slog.Handler.
func (u urgent) Handle(ctx context.Context, r slog.Record) error {
	err := u.Handler.Handle(ctx, r)
	if r.Level >= slog.LevelWarn {
		err = errors.Join(err, u.w.Flush())
	}
	return err
}

// WithAttrs implements slog.Handler.
func (u urgent) WithAttrs(attrs []slog.Attr) slog.Handler {
	return urgent{u.Handler.WithAttrs(attrs), u.w}
}

// WithGroup implements slog.Handler.
func (u urgent) WithGroup(name string) slog.Handler { return urgent{u.Handler.WithGroup(name), u.w} }
