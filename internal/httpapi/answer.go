package httpapi

import (
	"net/http"
	"sync"
	"time"

	"github.com/kitshub/kitshub/internal/httpapi/wire"
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
		body, err := wire.Marshal(envelope{Success: true, Data: a.data, NextCursor: a.next})
		if err != nil {
			return hub.Answer{}, err
		}
		a.body = append(body, '\n')
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return hub.Answer{Status: a.status, ContentType: wire.JSON, Location: a.location, Body: a.body}, nil
}

// buffers are for bodies that nobody keeps beyond the call.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, wire.UsualBody)
	return &b
}}

// when shows a time in UTC; nil stays null.
func when(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
