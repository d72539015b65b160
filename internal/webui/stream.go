package webui

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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
	// make renders the part as it is now. line says that the order of the line matters to it, last that it will not change any more.
	make func(ctx context.Context) (html []byte, line, last bool, err error)
}

// fragment is what the script gets.
type fragment struct {
	HTML  string `json:"html,omitempty"`
	Last  bool   `json:"last,omitempty"`
	Pause bool   `json:"pause,omitempty"` // time is over; people say when to go on
}

// stream sends the part and its changes as server-sent events. Their id is a digest, so that a reader who comes back is not sent what it
// shows already.
func (u *ui) stream(w http.ResponseWriter, r *http.Request, p part) error {
	begun := time.Now()
	f := web.Feed{Name: "fragment", Stop: u.Stop, Pace: web.Pace{Gap: fragmentGap}}
	if p.own != "" {
		ch, stop := u.Service.Subscribe(p.own)
		defer stop()
		f.Own = ch
	}
	ch, stop := u.Service.Subscribe(hub.TopicLine)
	defer stop()
	f.Line = ch
	f.Read = func(ctx context.Context) (web.Snapshot, error) {
		if p.life > 0 && time.Since(begun) > p.life {
			return snapshot(fragment{Pause: true}, false)
		}
		html, line, last, err := p.make(ctx)
		if err != nil {
			return web.Snapshot{}, err
		}
		return snapshot(fragment{HTML: string(html), Last: last}, line)
	}
	return f.Serve(w, r)
}

func snapshot(f fragment, line bool) (web.Snapshot, error) {
	data, err := json.Marshal(f)
	sum := sha256.Sum256(data)
	return web.Snapshot{ID: hex.EncodeToString(sum[:8]), Data: data, Line: line}, err
}
