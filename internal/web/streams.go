package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// Streams carries the open event streams of a hub. Ten thousand of them cost little while nothing happens, and a change of the line reaches
// all of them in one sweep: what is due is collected in rounds and told by a few workers that all streams share. A stream has no goroutine
// but one with the smallest of stacks that waits for its reader to leave. See decision 0008.
//
// At any moment a stream belongs to one: to the collection (then it waits in a slot for what is due), to the queue, to the worker that
// tells it something, or to the goroutine that waits for a slow reader. Who has it ends it.
type Streams struct {
	log   *slog.Logger
	ends  context.Context
	topic Topics
	begun time.Time

	mu      sync.Mutex
	slots   []slot
	queue   []*stream // due, in order
	workers int       // at work
	round   *time.Timer
	next    int64 // when the next round is
	last    int64 // when the last one was
	line    bool  // the line changed since
	looks   int64 // from when streams look again, see respite
	open    int   // streams that were not ended and logged yet
	stopped bool
	empty   chan struct{} // closed once it is stopped and nothing is open
}

// Topics tells of changes; hub.Service does.
type Topics interface {
	Subscribe(topic string, changed func()) (cancel func())
}

// slot is where a stream waits. The rounds go through all slots, so they hold no more than that needs.
type slot struct {
	due int64 // never while somebody has the stream
	s   *stream
}

// Times are nanoseconds since the Streams were made, so that a clock that jumps changes nothing.
const (
	never = math.MaxInt64

	afterChange = int64(5 * time.Millisecond)  // least time from one round to the next: changes that come together are told together
	byTheClock  = int64(25 * time.Millisecond) // the same where only time has passed: a comment may be late by as much

	workersPerCPU = 4                      // more than one, since some wait for the database
	sameTime      = 100 * time.Millisecond // looks that begin within it share their deadline

	// A look that fails after so long is no stream's own trouble but the database's. Then nobody looks for a while: the workers would all wait,
	// and nobody would be told that the hub is still here.
	slowFail = int64(time.Second)
	respite  = int64(5 * time.Second)
)

// NewStreams makes the streams of one hub. They end, as their readers see it properly, when ends does.
func NewStreams(ends context.Context, topics Topics, log *slog.Logger) *Streams {
	e := &Streams{log: log, ends: ends, topic: topics, begun: time.Now(), next: never, last: math.MinInt64 / 2, empty: make(chan struct{})}
	e.round = time.AfterFunc(never, e.collect)
	leave := topics.Subscribe(hub.TopicLine, e.lineChanged)
	context.AfterFunc(ends, func() { //nolint:contextcheck // it has just ended
		leave()
		e.stop()
	})
	return e
}

// Wait waits until all streams have ended, which they do after the context of NewStreams, and were logged.
func (e *Streams) Wait(ctx context.Context) error {
	select {
	case <-e.empty:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-e.empty:
		return nil
	default:
		return fmt.Errorf("event streams: %w", ctx.Err())
	}
}

func (e *Streams) now() int64 { return int64(time.Since(e.begun)) }

func (e *Streams) lineChanged() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.line = true
	if len(e.slots) > 0 {
		e.wake(e.now())
	}
}

// changed says that what one stream shows is different now.
func (e *Streams) changed(s *stream) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s.changed = true
	if !s.busy {
		e.park(s)
	}
}

// left says that the reader is gone.
func (e *Streams) left(s *stream) {
	e.mu.Lock()
	s.gone = true
	switch {
	case !s.busy:
		e.have(s)
		e.mu.Unlock()
		e.end(s, false)
		return
	case s.slow:
		s.out.hurry()
	}
	e.mu.Unlock() // whoever has it ends it
}

// wake has a round begin at a moment, unless one comes earlier. The caller holds e.mu, as of all that follow down to stop.
func (e *Streams) wake(at int64) {
	if at = max(at, e.last+afterChange); at < e.next {
		e.next = at
		e.round.Reset(time.Duration(at - e.now()))
	}
}

// have takes a stream out of its slot's waiting.
func (e *Streams) have(s *stream) {
	s.busy = true
	e.slots[s.at].due = never
}

// park lets a stream wait for what is due next.
func (e *Streams) park(s *stream) {
	s.busy, s.slow = false, false
	if s.stirred && s.line {
		s.changed = true
	}
	due := s.due()
	e.slots[s.at].due = due
	e.wake(due)
}

// enqueue gives a stream to the workers.
func (e *Streams) enqueue(s *stream) {
	e.have(s)
	e.queue = append(e.queue, s)
}

// hire lets workers go to work, no more than can be of use.
func (e *Streams) hire() {
	for most := min(workersPerCPU*runtime.GOMAXPROCS(0), len(e.queue)); e.workers < most; e.workers++ {
		go e.work()
	}
}

// collect is one round.
func (e *Streams) collect() {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	e.last, e.next = now, never
	line := e.line
	e.line = false
	next := int64(never)
	for i := range e.slots {
		at := &e.slots[i]
		switch {
		case !line:
		case at.s.busy: // whether it minds the line is being found out
			at.s.stirred = true
		case at.s.line:
			at.s.changed = true
			at.due = at.s.due()
		}
		if at.due <= now {
			e.enqueue(at.s)
		} else {
			next = min(next, at.due)
		}
	}
	if next != never {
		e.wake(max(next, now+byTheClock))
	}
	e.hire()
}

// stop ends all streams.
func (e *Streams) stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopped = true
	e.round.Stop()
	for i := range e.slots {
		switch s := e.slots[i].s; {
		case !s.busy:
			e.enqueue(s)
		case s.slow:
			s.out.hurry()
		}
	}
	e.hire()
	if e.open == 0 {
		e.emptied()
	}
}

func (e *Streams) emptied() {
	select {
	case <-e.empty:
	default:
		close(e.empty)
	}
}

// admit takes a stream into the collection; the caller has it until it gives it back.
func (e *Streams) admit(s *stream) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s.at = len(e.slots)
	e.slots = append(e.slots, slot{never, s})
	e.open++
}

// giveBack lets a stream rest, or ends it where that is due.
func (e *Streams) giveBack(s *stream) {
	e.mu.Lock()
	gone, over := s.gone, s.gone || e.stopped
	if !over {
		e.park(s)
	}
	e.mu.Unlock()
	if over {
		e.end(s, !gone)
	}
}

// end ends a stream that the caller has. Where the reader is still there it is told so properly.
func (e *Streams) end(s *stream, properly bool) {
	e.mu.Lock()
	last := len(e.slots) - 1
	e.slots[s.at] = e.slots[last]
	e.slots[s.at].s.at = s.at
	e.slots[last] = slot{}
	e.slots = e.slots[:last]
	e.mu.Unlock()
	s.quit()
	if s.out != nil {
		s.out.close(properly)
	}
	s.rest.end(s.bytes, e.gone)
}

// gone counts a stream off that has ended and was logged.
func (e *Streams) gone() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open--; e.open == 0 && e.stopped {
		e.emptied()
	}
}

// take gives a worker the next stream, and what it is due for.
func (e *Streams) take() (s *stream, d duty) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) == 0 {
		e.workers--
		e.queue = nil // ten thousand may have stood in it
		return nil, d
	}
	s, e.queue[0] = e.queue[0], nil
	e.queue = e.queue[1:]
	if s.gone || e.stopped {
		d.over, d.gone = true, s.gone
		return s, d
	}
	now := e.now()
	d.now, d.beat = now, now >= s.beat
	if now < e.looks {
		s.free = max(s.free, e.looks+draw(time.Duration(respite)))
	}
	if now >= s.free && (s.changed || now >= s.reread) {
		d.look, d.changed = true, s.changed
		s.changed, s.stirred = false, false
	}
	return s, d
}

// trouble has nobody look for a while.
func (e *Streams) trouble(now int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.looks = now + respite
}

// work tells streams what is due until there is nothing more.
func (e *Streams) work() {
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	var ctx context.Context
	enough := func() {}
	until := int64(0)
	for {
		s, d := e.take()
		if s == nil {
			enough()
			return
		}
		if d.now >= until { // a time for each look alone would cost as much as the look
			enough()
			ctx, enough = context.WithTimeout(e.ends, slowRead+sameTime)
			until = d.now + int64(sameTime)
		}
		e.turn(ctx, s, d, b)
	}
}

// turn does what is due for one stream.
func (e *Streams) turn(ctx context.Context, s *stream, d duty, b *[]byte) {
	if d.over {
		e.end(s, !d.gone)
		return
	}
	text, err := e.tell(ctx, s, d, (*b)[:0])
	if cap(text) > cap(*b) && cap(text) <= keptBuffer {
		*b = text[:0]
	}
	if err != nil {
		e.end(s, true)
		return
	}
	s.bytes += int64(len(text) - len(room))
	left, err := s.out.try(text)
	e.told(s, left, err)
}

// told goes on after what is left of a text that was tried.
func (e *Streams) told(s *stream, left []byte, err error) {
	switch {
	case err != nil:
		e.end(s, false)
	case len(left) > 0:
		go e.finish(s, slices.Clone(left))
	default:
		e.giveBack(s)
	}
}

// tell is the stream's own tell; what panics ends one stream and not the hub.
func (e *Streams) tell(ctx context.Context, s *stream, d duty, b []byte) (_ []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			e.log.ErrorContext(ctx, "an event stream panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = errPanicked
		}
	}()
	return s.tell(ctx, d, b)
}

var errPanicked = errors.New("web: an event stream panicked")

// finish waits for a slow reader, who holds nobody else up. Who does not read in time is cut off.
func (e *Streams) finish(s *stream, text []byte) {
	s.out.within(s.pace.Patience)
	e.mu.Lock()
	over := s.gone || e.stopped
	s.slow = true
	e.mu.Unlock()
	if !over && s.out.write(text) == nil {
		s.out.within(0)
		e.giveBack(s)
		return
	}
	e.end(s, false)
}

// buffers hold what is told while it is made. An event is about half a kilobyte, the console's are some.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 2<<10); return &b }}

// keptBuffer is the size up to which a buffer that grew is kept.
const keptBuffer = 64 << 10
