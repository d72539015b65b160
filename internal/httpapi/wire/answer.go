package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/kitshub/kitshub/internal/hub"
)

// Sent is an answer as bytes, with what is said of it this once and never kept.
type Sent struct {
	hub.Answer
	RetryAfter string // seconds, or "" where a repetition is of no use
	Replayed   bool   // it is the kept answer of an earlier call
	atOnce     int    // calls of this kind that are served side by side, where that is why this one was not
}

// UsualBody is room for most answers, in bytes, so that a buffer seldom grows.
const UsualBody = 1024

// Marshal is json.Marshal without turning <, > and & into escapes: the answers are JSON, not HTML, and people read them.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(UsualBody)
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// JSON is the media type of answers.
const JSON = "application/json"

// The values of headers that most answers have, shared by all of them: who adds to one gets a copy.
var (
	jsonType = [1]string{JSON}
	noStore  = [1]string{"no-store"}
)

// countedByServer is the length up to which net/http sees the whole body before the header goes out, and says its length itself.
const countedByServer = 2048

// Write sends the answer with its headers. Nothing of it is for caches.
func (s Sent) Write(w http.ResponseWriter) {
	h := w.Header()
	if s.ContentType == JSON {
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
	if s.RetryAfter != "" {
		h.Set("Retry-After", s.RetryAfter)
	}
	if s.atOnce > 0 { // https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/10/
		h.Set("RateLimit-Policy", fmt.Sprintf(`"concurrent";q=%d;qu="concurrent-requests"`, s.atOnce))
		h.Set("RateLimit", `"concurrent";r=0;t=`+s.RetryAfter)
	}
	if s.Replayed {
		h.Set("Idempotency-Replayed", "true")
	}
	w.WriteHeader(s.Status)
	_, _ = w.Write(s.Body) // the caller left; the access log has it
}
