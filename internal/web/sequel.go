package web

import (
	"net/http"
	"sync"
)

// sequel joins the two who know of a call whose answer goes on after its handler: the access log, which knows the call, and the stream, which
// knows the end. The later one of them has it written. It holds nothing of the request, which would be held as long as the stream is open.
type sequel struct {
	mu     sync.Mutex
	tell   func(bytes int64)
	ended  bool
	bytes  int64
	logged func()
}

// handOver says that the answer goes on; nil where nobody logs the call.
func handOver(r *http.Request) *sequel {
	c := callFrom(r.Context())
	if c == nil || c.rec.ResponseWriter == nil {
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
		s.logged()
	}
}

// end is called by the stream, once. logged is called once it is written, by either of the two; at once where there is no sequel.
func (s *sequel) end(bytes int64, logged func()) {
	if s == nil {
		logged()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended, s.bytes, s.logged = true, bytes, logged; s.tell != nil {
		s.tell(bytes)
		logged()
	}
}
