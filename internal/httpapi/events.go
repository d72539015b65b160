package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/web"
)

// snapshot is a document as an event. Its id is a digest of what it says apart from the time of reading and from a countdown (the time to
// ready of what is under way shrinks with each reading without being news), so that one who comes back with Last-Event-ID is told only
// what changed.
func snapshot(doc any, line bool, version any) (web.Snapshot, error) {
	data, err := marshal(doc)
	if err != nil {
		return web.Snapshot{}, err
	}
	v, err := marshal(version)
	if err != nil {
		return web.Snapshot{}, err
	}
	sum := sha256.Sum256(v)
	return web.Snapshot{ID: hex.EncodeToString(sum[:8]), Data: data, Line: line}, nil
}

func timeless(d statusDoc) statusDoc {
	d.AsOf = time.Time{}
	if d.Status != hub.Pending {
		d.Ready = waitDoc{}
	} else {
		d.Reason = "" // why a place went back is news with the place, not again when it no longer needs saying
	}
	return d
}

func statusEvents(c *call) error {
	s, err := c.Service.StatusOf(c.ctx, c.token)
	if err != nil {
		return err
	}
	last := s
	return c.stream(s.Request.ID, func(ctx context.Context) (web.Snapshot, error) {
		s, err := c.Service.StatusOf(ctx, c.token)
		if err != nil {
			return web.Snapshot{}, err
		}
		d := statusOf(s)
		if why := hub.WentBack(last, s); why != "" {
			d.Reason = why
		}
		last = s
		return snapshot(d, d.Status == hub.Pending, timeless(d))
	})
}

func requestEvents(c *call) error {
	id, err := c.pathID("request", "req_")
	if err != nil {
		return err
	}
	return c.stream(id, func(ctx context.Context) (web.Snapshot, error) {
		if err := c.stillIn(ctx); err != nil {
			return web.Snapshot{}, err
		}
		s, err := c.Service.StatusByID(ctx, id)
		if err != nil {
			return web.Snapshot{}, err
		}
		d := requestDetailOf(s)
		v := d
		v.AsOf, v.Overdue = time.Time{}, false
		if d.Status != hub.Pending {
			v.Ready = waitDoc{}
		}
		return snapshot(d, d.Status == hub.Pending, v)
	})
}

// stillIn ends a stream whose session or token ended.
func (c *call) stillIn(ctx context.Context) error {
	if token, given, err := bearer(c.r); err != nil || given {
		if err == nil {
			_, err = c.Service.TokenActor(ctx, token)
		}
		return err
	}
	_, err := c.Service.SessionActor(ctx, c.token)
	return err
}

// streamSession is how late at most an operators' stream notices that its session ended: logging out ends everything within a second.
const streamSession = time.Second

func (c *call) stream(requestID string, read func(context.Context) (web.Snapshot, error)) error {
	own, endOwn := c.Service.Subscribe(requestID)
	defer endOwn()
	line, endLine := c.Service.Subscribe(hub.TopicLine)
	defer endLine()
	pace := c.Pace
	if c.route.policy == operator && pace.Reread == 0 {
		pace.Reread = streamSession
	}
	return web.Feed{Name: "status", Own: own, Line: line, Stop: c.Base.Done(), Pace: pace, Read: read}.Serve(c.w, c.r)
}
