package web

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// Pace is how a stream of events moves. The zero value is the contract's.
type Pace struct {
	Gap    time.Duration // least time between two events; 500 ms: at most two a second
	Beat   time.Duration // a comment at least this often, so that proxies keep the connection; 10 s, the contract allows 15
	Reread time.Duration // what another replica changed is seen this late at most; 3 s

	Patience time.Duration // a write that takes longer cuts the reader off; 10 s
}

func (p Pace) orDefault() Pace {
	return Pace{
		Gap: or(p.Gap, 500*time.Millisecond), Beat: or(p.Beat, 10*time.Second), Reread: or(p.Reread, 3*time.Second), Patience: or(p.Patience, 10*time.Second),
	}
}

func or(d, fallback time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return fallback
}

const (
	slowRead  = 4 * time.Second // a read of the state that takes longer is given up until the next one; with the beat it makes less than 15 s
	reconnect = 2 * time.Second // what browsers shall wait before they come back
)

// Snapshot says what a state that was read is to its stream.
type Snapshot struct {
	ID   uint64 // equal ids: nothing new to say. It means the same to every hub, since readers come back to another one.
	Line bool   // a change of the line's order may change it
}

// Feed is what a stream shows: the state at once, then its latest after each change.
type Feed struct {
	Name  string // of the events
	Topic string // its changes are heeded, and those of the line while the snapshot says so; may be empty
	Pace  Pace
	// Read appends what is true now to b, as one line. The first error is returned by Serve; later ones end the stream where they are final
	// (not logged in any more, gone) and are passed over where the next reading may go well. It is never called twice at a time. It outlives
	// the handler that called Serve, so it must not use the request or its context, and what it holds is held as long as the stream is open.
	Read func(ctx context.Context, b []byte) ([]byte, Snapshot, error)
}

// Serve opens a stream; the connection is no more the caller's. It returns at once where the connection could be taken over, else when the
// stream ends: when the reader leaves, when a reading fails for good, or when the server stops. An error means that nothing was sent yet.
func (e *Streams) Serve(w http.ResponseWriter, r *http.Request, f Feed) error {
	s := &stream{e: e, name: f.Name, read: f.Read, pace: f.Pace.orDefault(), busy: true, quit: func() {}}
	e.admit(s) // before the first reading, so that no change after it is missed
	if f.Topic != "" {
		s.quit = e.topic.Subscribe(f.Topic, func() { e.changed(s) })
	}
	s.last, s.told = eventID(r.Header.Get("Last-Event-ID"))
	text := make([]byte, 0, 2<<10)
	text = append(text, room...)
	text = append(strconv.AppendInt(append(text, "retry: "...), reconnect.Milliseconds(), 10), "\n\n"...)
	ctx, enough := context.WithTimeout(r.Context(), slowRead)
	defer enough()
	text, err := s.look(ctx, text)
	if err != nil {
		e.end(s, false)
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	if r.Method == http.MethodHead {
		e.end(s, false)
		w.WriteHeader(http.StatusOK)
		return nil
	}
	left, wait, err := s.open(w, r, text)
	// The first look and the first comment come at drawn moments, or all who watched a hub that was started anew would be told at once, for ever.
	now := e.now()
	s.beat, s.reread, s.free = now+draw(s.pace.Beat), now+draw(s.pace.Reread), now+int64(s.pace.Gap)
	e.told(s, left, err)
	wait()
	return nil
}

func draw(d time.Duration) int64 { return int64(rand.N(d)) } //nolint:gosec // jitter needs no secrecy

// eventID reads the id of an event; ok is false for one that no hub gave, and then the whole state is news.
func eventID(s string) (id uint64, ok bool) {
	var b [8]byte
	if len(s) != 2*len(b) {
		return 0, false
	}
	_, err := hex.Decode(b[:], []byte(s))
	return binary.BigEndian.Uint64(b[:]), err == nil
}

// stream is one open stream. What is above busy belongs to whoever has the stream; what is below is guarded by the collection's lock.
type stream struct {
	e    *Streams
	name string
	read func(ctx context.Context, b []byte) ([]byte, Snapshot, error)
	quit func() // ends the subscription
	out  outlet
	rest *sequel // of the call, where the connection was taken over
	pace Pace

	last  uint64 // the id of the last event
	told  bool   // there was one
	bytes int64

	beat, reread, free int64 // the next comment, the next look, the end of the gap after an event; read under the lock, written by who has it
	line               bool

	busy    bool // somebody has it
	slow    bool // and waits for its reader
	changed bool
	stirred bool // the line changed while somebody had it
	gone    bool // the reader is
	at      int  // its slot
}

// due is when something is to be done.
func (s *stream) due() int64 {
	look := s.reread
	if s.changed {
		look = 0
	}
	return min(s.beat, max(look, s.free))
}

// duty is what is due for a stream.
type duty struct {
	now     int64
	over    bool // it ends
	gone    bool // because its reader left
	beat    bool
	look    bool
	changed bool // it is looked at because of a change
}

// tell makes the text that is due, with room before it. An error ends the stream.
func (s *stream) tell(ctx context.Context, d duty, b []byte) ([]byte, error) {
	b = append(b, room...)
	now := s.e.now()
	if d.beat {
		b = append(b, ": still here\n\n"...)
		s.beat = now + int64(s.pace.Beat)
	}
	if !d.look {
		return b, nil
	}
	before := len(b)
	text, err := s.look(ctx, b)
	if final(err) {
		return nil, err
	}
	begun := now
	now = s.e.now()
	if err != nil && now-begun > slowFail {
		s.e.trouble(now)
	}
	s.reread = now + int64(s.pace.Reread)
	// A look that found nothing new must not hold back the change that comes right after it.
	if d.changed || len(text) > before {
		s.free = now + int64(s.pace.Gap)
	}
	return text, nil
}

// final reports whether reading again cannot go better.
func final(err error) bool {
	var e *hub.Error
	return errors.As(err, &e) && e.Code != hub.CodeUnavailable && e.Code != hub.CodeInternal
}

// look reads the state and appends it as an event, unless the reader has it already.
func (s *stream) look(ctx context.Context, b []byte) ([]byte, error) {
	begin := len(b)
	b = append(b, "id: "...)
	id := len(b)
	b = append(b, "0000000000000000\nevent: "...)
	b = append(append(b, s.name...), "\ndata: "...)
	text, snap, err := s.read(ctx, b)
	if err != nil {
		return b[:begin], err
	}
	s.line = snap.Line
	if s.told && snap.ID == s.last {
		return b[:begin], nil
	}
	s.last, s.told = snap.ID, true
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], snap.ID)
	hex.Encode(text[id:], raw[:])
	return append(text, "\n\n"...), nil
}
