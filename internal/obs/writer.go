package obs

import (
	"io"
	"sync"
	"time"
)

// Writer gathers what is written to it while much is written: a line that comes alone goes out at once, those that follow it within gatherFor
// go out together. A log to a pipe wakes its reader with every write, and at ten thousand calls a second that would cost the hub more than
// the lines themselves. A process that is killed loses the lines of the last gatherFor at most.
//
// Lines are gathered also while earlier ones go out, so a reader that is slow for a moment holds nobody up. If he stays slow, those who log
// wait for him: no line is dropped.
type Writer struct {
	out io.Writer

	mu      sync.Mutex
	done    sync.Cond // lines went out
	lines   []byte
	spare   []byte
	writing bool
	closed  bool
	last    time.Time // when something went out
	timer   *time.Timer
	err     error // of the last write, told to the next caller
}

const (
	gatherFor  = 10 * time.Millisecond
	gatherMost = 256 << 10
)

// NewWriter makes one; it must be closed, so that nothing is left in it.
func NewWriter(out io.Writer) *Writer {
	w := &Writer{out: out}
	w.done.L = &w.mu
	w.timer = time.AfterFunc(time.Hour, func() { _ = w.Flush() }) // the next Write has the error
	w.timer.Stop()
	return w
}

// Write implements io.Writer for whole lines. Its error may be that of an earlier line.
func (w *Writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.writing && len(w.lines) >= gatherMost {
		w.done.Wait()
	}
	first := len(w.lines) == 0
	w.lines = append(w.lines, line...)
	switch {
	case w.writing:
	case len(w.lines) >= gatherMost || w.closed || first && time.Since(w.last) > gatherFor:
		w.send()
	case first:
		w.timer.Reset(gatherFor)
	}
	return len(line), w.tell()
}

// Flush writes out what was written before it.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.writing {
		w.done.Wait()
	}
	w.send()
	return w.tell()
}

// Close is the last Flush; what is written later is not gathered any more.
func (w *Writer) Close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	return w.Flush()
}

// send writes out what there is, while others may gather. Nobody else is writing; the caller holds mu.
func (w *Writer) send() {
	w.timer.Stop()
	if len(w.lines) == 0 {
		return
	}
	batch := w.lines
	w.lines, w.spare, w.writing = w.spare[:0], nil, true
	w.mu.Unlock()
	_, err := w.out.Write(batch)
	w.mu.Lock()
	w.spare, w.writing, w.last = batch, false, time.Now()
	if err != nil {
		w.err = err
	}
	if len(w.lines) > 0 {
		w.timer.Reset(gatherFor)
	}
	w.done.Broadcast()
}

func (w *Writer) tell() error {
	err := w.err
	w.err = nil
	return err
}
