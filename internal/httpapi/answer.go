package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// answer is what a handler gives back on success.
type answer struct {
	status     int // 0 is 200
	data       any
	next       string // next_cursor of a list, or ""
	location   string
	retryAfter string

	kept *hub.Answer // already written down with its effect; then it is sent as it is
}

// sent is an answer as bytes.
type sent struct {
	hub.Answer
	retryAfter string
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
	body, err := a.body()
	if err != nil {
		return hub.Answer{}, err
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return hub.Answer{Status: a.status, ContentType: "application/json", Location: a.location, Body: append(body, '\n')}, nil
}

func (a answer) body() ([]byte, error) {
	if d, ok := a.data.(*statusDoc); ok {
		b := append(make([]byte, 0, usualBody), `{"success":true,"data":`...)
		return append(appendStatus(b, d), '}'), nil
	}
	return marshal(envelope{Success: true, Data: a.data, NextCursor: a.next})
}

// usualBody is room for most answers, so that the buffer seldom grows.
const usualBody = 1024

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

func (s sent) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", s.ContentType)
	h.Set("Content-Length", strconv.Itoa(len(s.Body)))
	h.Set("Cache-Control", "no-store")
	if s.Location != "" {
		h.Set("Location", s.Location)
	}
	if s.retryAfter != "" {
		h.Set("Retry-After", s.retryAfter)
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
