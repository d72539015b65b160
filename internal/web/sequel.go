package web

import (
	"net/http"
	"sync"
)

// sequel joins the two who know of a call whose answer goes on after its handler: the access log, which knows the call, and the stream, which
// knows the end. The later one of them has it written. It holds nothing of the request, which would be held as long as the stream is open.
type sequel struct {
	mu    sync.Mutex
	tell  func(bytes int64)
	ended bool
	bytes int64
}

// handOver says that the answer goes on; nil where nobody logs the call.
func handOver(r *http.Request) *sequel {
	c := callFrom(r.Context())
	if c == nil {
		return nil
	}
	c.after = &sequel{}
	return c.after
}

// begin is called by the access log when the handler has returned.
func (s *sequel) begin(tell func(bytes int64)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tell = tell; s.ended {
		tell(s.bytes)
	}
}

// end is called by the stream, once. No sequel is one that nobody asks for.
func (s *sequel) end(bytes int64) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended, s.bytes = true, bytes; s.tell != nil {
		s.tell(bytes)
	}
}
