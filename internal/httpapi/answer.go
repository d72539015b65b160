package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// answer is what a handler gives back on success.
type answer struct {
	status     int // 0 is 200
	data       any
	body       []byte // the whole body as JSON, in place of data
	next       string // next_cursor of a list, or ""
	location   string
	retryAfter string

	kept *hub.Answer // already written down with its effect; then it is sent as it is
}

// sent is an answer as bytes.
type sent struct {
	hub.Answer
	retryAfter string
	atOnce     int // calls of this kind that are served side by side, where that is why this one was not
	replayed   bool
}

type envelope struct {
	Success    bool   `json:"success"`
	Data       any    `json:"data"`
	NextCursor string `json:"next_cursor,omitempty"`
}

// encode turns an answer into bytes.
func (a answer) encode() (hub.Answer, error) {
	if a.kept != nil {
		return *a.kept, nil
	}
	if a.body == nil {
		body, err := marshal(envelope{Success: true, Data: a.data, NextCursor: a.next})
		if err != nil {
			return hub.Answer{}, err
		}
		a.body = append(body, '\n')
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return hub.Answer{Status: a.status, ContentType: jsonType[0], Location: a.location, Body: a.body}, nil
}

// usualBody is room for most answers, so that the buffer seldom grows.
const usualBody = 1024

// buffers are for bodies that nobody keeps beyond the call.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, usualBody)
	return &b
}}

// marshal is json.Marshal without turning <, > and & into escapes: the answers are JSON, not HTML, and people read them.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(usualBody)
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// The values of headers that most answers have, shared by all of them: who adds to one gets a copy.
var (
	jsonType = [1]string{"application/json"}
	noStore  = [1]string{"no-store"}
)

// countedByServer is the length up to which net/http sees the whole body before the header goes out, and says its length itself.
const countedByServer = 2048

func (s sent) write(w http.ResponseWriter) {
	h := w.Header()
	if s.ContentType == jsonType[0] {
		h["Content-Type"] = jsonType[:]
	} else {
		h.Set("Content-Type", s.ContentType)
	}
	if len(s.Body) > countedByServer {
		h.Set("Content-Length", strconv.Itoa(len(s.Body)))
	}
	h["Cache-Control"] = noStore[:]
	if s.Location != "" {
		h.Set("Location", s.Location)
	}
	if s.retryAfter != "" {
		h.Set("Retry-After", s.retryAfter)
	}
	if s.atOnce > 0 { // https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/10/
		h.Set("RateLimit-Policy", fmt.Sprintf(`"concurrent";q=%d;qu="concurrent-requests"`, s.atOnce))
		h.Set("RateLimit", `"concurrent";r=0;t=`+s.retryAfter)
	}
	if s.replayed {
		h.Set("Idempotency-Replayed", "true")
	}
	w.WriteHeader(s.Status)
	_, _ = w.Write(s.Body) // the caller left; the access log has it
}

// when shows a time in UTC; nil stays null.
func when(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
