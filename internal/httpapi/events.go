package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/kitshub/kitshub/internal/httpapi/wire"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/web"
)

// digest is the id of a state: equal on every hub, and one who comes back with it as Last-Event-ID is told only what changed.
func digest(text []byte) uint64 {
	sum := sha256.Sum256(text)
	return binary.BigEndian.Uint64(sum[:])
}

// appendStatusEvent appends the document and gives its id: a digest of what it says apart from the time of reading, from a countdown (the
// time to ready of what is under way shrinks with each reading without being news), and from why a place went back (which is news with the
// place, not again when it no longer needs saying).
func appendStatusEvent(b []byte, d *statusDoc) ([]byte, uint64) {
	begin, ready, reason := len(b), d.Ready, d.Reason
	if d.Status == hub.Pending {
		d.Reason = ""
	} else {
		d.Ready = waitDoc{}
	}
	b = appendStatus(b, d)
	id := digest(b[begin:bytes.LastIndex(b, []byte(`,"as_of":`))])
	if d.Ready == ready && d.Reason == reason { // nearly always
		return b, id
	}
	d.Ready, d.Reason = ready, reason
	return appendStatus(b[:begin], d), id
}

// statusEvents must hold little: tens of thousands may be open.
func statusEvents(c *call) error {
	s, err := c.Service.StatusOf(c.ctx, c.token)
	if err != nil {
		return err
	}
	service, token, last := c.Service, c.token, standingOf(&s)
	return c.stream(s.Request.ID, func(ctx context.Context, b []byte) ([]byte, web.Snapshot, error) {
		s, err := service.StatusOf(ctx, token)
		if err != nil {
			return nil, web.Snapshot{}, err
		}
		d := statusOf(s)
		if why := hub.WentBack(last.status(), s); why != "" {
			d.Reason = why
		}
		last = standingOf(&s)
		b, id := appendStatusEvent(b, &d)
		return b, web.Snapshot{ID: id, Line: d.Status == hub.Pending}, nil
	})
}

// standing is what of a status says later whether its place went back.
type standing struct{ position, higher, priority int32 }

func standingOf(s *hub.Status) standing {
	if s.Request.State != hub.Pending {
		return standing{}
	}
	return standing{int32(s.Position), int32(s.Higher), int32(s.Request.Priority)} //nolint:gosec // a line of two billion would not fit into memory
}

func (s standing) status() (was hub.Status) {
	if s.position > 0 {
		was.Request.State = hub.Pending
	}
	was.Position, was.Higher, was.Request.Priority = int(s.position), int(s.higher), int(s.priority)
	return was
}

func requestEvents(c *call) error {
	id, err := wire.PathID(c.r, "request", "req_")
	if err != nil {
		return err
	}
	service, stillIn := c.Service, c.stillIn()
	return c.stream(id, func(ctx context.Context, b []byte) ([]byte, web.Snapshot, error) {
		if err := stillIn(ctx); err != nil {
			return nil, web.Snapshot{}, err
		}
		s, err := service.StatusByID(ctx, id)
		if err != nil {
			return nil, web.Snapshot{}, err
		}
		d := requestDetailOf(s)
		v := d
		v.AsOf, v.Overdue = time.Time{}, false
		if d.Status != hub.Pending {
			v.Ready = waitDoc{}
		}
		version, err := wire.Marshal(v)
		if err != nil {
			return nil, web.Snapshot{}, err
		}
		data, err := wire.Marshal(d)
		return append(b, data...), web.Snapshot{ID: digest(version), Line: d.Status == hub.Pending}, err
	})
}

// stillIn gives what ends a stream whose session or token ended.
func (c *call) stillIn() func(context.Context) error {
	service, session := c.Service, c.token
	if token, given, _ := wire.Bearer(c.r); given { // well-formed, or the call was not admitted
		return func(ctx context.Context) error {
			_, err := service.TokenActor(ctx, token)
			return err
		}
	}
	return func(ctx context.Context) error {
		_, err := service.SessionActor(ctx, session)
		return err
	}
}

// streamSession is how late at most an operators' stream notices that its session ended: logging out ends everything within a second.
const streamSession = time.Second

func (c *call) stream(requestID string, read func(context.Context, []byte) ([]byte, web.Snapshot, error)) error {
	pace := c.Pace
	if c.route.policy == operator && pace.Reread == 0 {
		pace.Reread = streamSession
	}
	return c.Streams.Serve(c.w, c.r, web.Feed{Name: "status", Topic: requestID, Pace: pace, Read: read})
}
