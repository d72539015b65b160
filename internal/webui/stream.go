package webui

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/web"
)

const (
	fragmentGap = 300 * time.Millisecond // between two fragments: a page of a few kilobytes may be a little livelier than the API
	// consoleLife ends a console's stream. Each fragment asks for the session, which keeps it awake: a forgotten tab must not do so for ever.
	consoleLife = hub.SessionIdle / 2
)

// part is a piece of a page that stays fresh. Each of its fragments is the whole truth, so nothing is lost with one that was missed.
type part struct {
	own  string        // the topic it shows, or empty
	life time.Duration // 0: as long as the reader stays
	make func(ctx context.Context) (piece, error)
}

// piece is the part as it is now.
type piece struct {
	html []byte
	why  string // what is to be said of this change and of no later one
	line bool   // the order of the line matters to it
	last bool   // it will not change any more
}

// fragment is what the script gets.
type fragment struct {
	HTML  string `json:"html,omitempty"`
	Why   string `json:"why,omitempty"`
	Last  bool   `json:"last,omitempty"`
	Pause bool   `json:"pause,omitempty"` // time is over; people say when to go on
}

// stream sends the part and its changes as server-sent events. Their id is a digest, so that a reader who comes back is not sent what it
// shows already.
func (u *ui) stream(w http.ResponseWriter, r *http.Request, p part) error {
	begun := time.Now()
	f := web.Feed{Name: "fragment", Topic: p.own, Pace: web.Pace{Gap: fragmentGap}}
	f.Read = func(ctx context.Context, b []byte) ([]byte, web.Snapshot, error) {
		if p.life > 0 && time.Since(begun) > p.life {
			return snapshot(b, fragment{Pause: true}, false)
		}
		now, err := p.make(ctx)
		if err != nil {
			return nil, web.Snapshot{}, err
		}
		return snapshot(b, fragment{HTML: string(now.html), Why: now.why, Last: now.last}, now.line)
	}
	return u.Streams.Serve(w, r, f)
}

// snapshot is a fragment as an event. The reason of a change is no part of its digest: that it needs saying no longer is not news.
func snapshot(b []byte, f fragment, line bool) ([]byte, web.Snapshot, error) {
	data, err := json.Marshal(f)
	sum := sha256.New()
	_, _ = io.WriteString(sum, f.HTML) // a digest takes everything
	_, _ = sum.Write([]byte{bit(f.Last), bit(f.Pause)})
	return append(b, data...), web.Snapshot{ID: binary.BigEndian.Uint64(sum.Sum(nil)), Line: line}, err
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}
