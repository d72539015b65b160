package web

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
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
	slowRead  = 10 * time.Second // a read of the state that takes longer is given up until the next one
	reconnect = 2 * time.Second  // what browsers shall wait before they come back
)

// Snapshot is the state of what a stream shows.
type Snapshot struct {
	ID   string // equal ids: nothing new to say
	Data []byte // one line
	Line bool   // a change of the line's order may change it
}

// Feed is a stream of server-sent events: the state at once, then its latest after each change.
type Feed struct {
	Name string // of the events
	Own  <-chan struct{}
	Line <-chan struct{} // heeded while the snapshot says so
	Stop <-chan struct{} // the server is going down
	Pace Pace
	// Read gives what is true now. The first error is returned by Serve; later ones end the stream where they are final (not logged in any
	// more, gone) and are passed over where the next reading may go well.
	Read func(ctx context.Context) (Snapshot, error)
}

// Serve runs the stream until the caller leaves or the server stops. An error means that nothing was sent yet.
func (f Feed) Serve(w http.ResponseWriter, r *http.Request) error {
	snap, err := f.read(r.Context())
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	f.Pace = f.Pace.orDefault()
	s := &stream{w: w, rc: http.NewResponseController(w), patience: f.Pace.Patience}
	// The server's own deadlines are for calls that end; a stream has one for each write instead.
	_ = s.rc.SetReadDeadline(time.Time{})
	defer func() { _ = s.rc.SetWriteDeadline(time.Time{}) }()
	f.run(r, s, snap)
	return nil
}

func (f Feed) read(ctx context.Context) (Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, slowRead)
	defer cancel()
	return f.Read(ctx)
}

func (f Feed) run(r *http.Request, s *stream, snap Snapshot) {
	pace := f.Pace
	last := r.Header.Get("Last-Event-ID")
	if s.write(fmt.Sprintf("retry: %d\n\n", reconnect.Milliseconds())) != nil || f.send(s, snap, &last) != nil {
		return
	}
	// The first look comes at a drawn moment, or all who watched a hub that was started anew would look at once, for ever.
	beat, reread := time.NewTicker(pace.Beat), time.NewTimer(rand.N(pace.Reread)) //nolint:gosec // jitter needs no secrecy
	defer beat.Stop()
	defer reread.Stop()
	gap := time.After(pace.Gap)
	for changed, look := false, false; ; {
		line := f.Line
		if !snap.Line {
			line = nil
		}
		select {
		case <-r.Context().Done():
			return
		case <-f.Stop:
			return
		case <-beat.C:
			if s.write(": still here\n\n") != nil {
				return
			}
		case <-gap:
			gap = nil
		case <-f.Own:
			changed = true
		case <-line:
			changed = true
		case <-reread.C:
			look = true
			reread.Reset(pace.Reread)
		}
		if !changed && !look || gap != nil {
			continue
		}
		told := last
		fresh, err := f.read(r.Context())
		if final(err) {
			return
		}
		if err == nil {
			snap = fresh
			if f.send(s, snap, &last) != nil {
				return
			}
		}
		// A look that found nothing new must not hold back the change that comes right after it.
		if changed || last != told {
			gap = time.After(pace.Gap)
		}
		changed, look = false, false
	}
}

// final reports whether reading again cannot go better.
func final(err error) bool {
	var e *hub.Error
	return errors.As(err, &e) && e.Code != hub.CodeUnavailable && e.Code != hub.CodeInternal
}

// send tells a snapshot unless the reader has it already.
func (f Feed) send(s *stream, snap Snapshot, last *string) error {
	if snap.ID == *last {
		return nil
	}
	*last = snap.ID
	var b strings.Builder
	fmt.Fprintf(&b, "id: %s\nevent: %s\ndata: %s\n\n", snap.ID, f.Name, snap.Data)
	return s.write(b.String())
}

type stream struct {
	w        http.ResponseWriter
	rc       *http.ResponseController
	patience time.Duration
}

func (s *stream) write(text string) error {
	if err := s.rc.SetWriteDeadline(time.Now().Add(s.patience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.rc.Flush()
}
