package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/httpapi"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/web"
)

// stream is an open event stream.
type stream struct {
	t    testing.TB
	res  *http.Response
	in   *bufio.Reader
	stop context.CancelFunc
}

type event struct {
	name, id, data string
	comment        bool
	at             time.Time
}

func (r *rig) stream(path string, headers ...string) *stream {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL+path, nil)
	ok(r.t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultTransport.RoundTrip(req) //nolint:bodyclose // closed by the clean-up
	ok(r.t, err)
	r.t.Cleanup(func() { cancel(); _ = res.Body.Close() })
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("X-Request-Id") == "" {
		r.t.Fatal(res.Status, res.Header)
	}
	return &stream{t: r.t, res: res, in: bufio.NewReader(res.Body), stop: cancel}
}

// next reads one event or comment; ok is false at the end of the stream.
func (s *stream) next() (e event, open bool) {
	s.t.Helper()
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			if err != io.EOF { //nolint:errorlint // bufio gives it bare
				s.t.Fatalf("the stream broke: %v", err)
			}
			return e, false
		}
		line = strings.TrimSuffix(line, "\n")
		switch name, value, _ := strings.Cut(line, ": "); {
		case strings.HasPrefix(line, ":"):
			e.comment = true
		case name == "event":
			e.name = value
		case name == "id":
			e.id = value
		case name == "data":
			e.data = value
		case line == "" && (e.data != "" || e.comment):
			e.at = time.Now()
			return e, true
		}
	}
}

// event reads on to the next event.
func (s *stream) event() (event, map[string]any) {
	s.t.Helper()
	for {
		e, open := s.next()
		if !open {
			s.t.Fatal("the stream ended")
		}
		if e.comment {
			continue
		}
		if e.name != "status" || e.id == "" {
			s.t.Fatalf("%+v", e)
		}
		var doc map[string]any
		ok(s.t, json.Unmarshal([]byte(e.data), &doc))
		return e, doc
	}
}

func (s *stream) until(done func(map[string]any) bool) (event, map[string]any) {
	s.t.Helper()
	for {
		e, doc := s.event()
		if done(doc) {
			return e, doc
		}
	}
}

func TestStatusEvents(t *testing.T) {
	r := newRig(t)
	_, tok := r.signUp(1, "enterprise")
	second, tok2 := r.signUp(2, "enterprise")
	s := r.stream("/api/v1/status/events", bearer(tok2))
	e, doc := s.event()
	now := r.call("GET", "/api/v1/status", nil, bearer(tok2)).want(200)
	delete(doc, "as_of")
	want := now.JSON["data"].(map[string]any)
	delete(want, "as_of")
	if a, b := mustJSON(t, doc), mustJSON(t, want); a != b || doc["position"] != 2.0 {
		t.Errorf("%s\n%s", a, b)
	}
	r.call("POST", "/api/v1/status/cancel", nil, bearer(tok)).want(200) // the one before leaves: the line moves
	moved, doc := s.event()
	if doc["position"] != 1.0 || moved.id == e.id {
		t.Error(doc)
	}
	r.as("POST", "/api/v1/requests/"+second+"/claim", nil).want(200)
	last, doc := s.event()
	if doc["status"] != "in_progress" || doc["position"] != 0.0 {
		t.Error(doc)
	}
	s.stop()
	// One who comes back and has seen this state is not told it again, only what follows.
	s = r.stream("/api/v1/status/events", bearer(tok2), "Last-Event-ID: "+last.id)
	r.as("POST", "/api/v1/requests/"+second+"/cancel", nil).want(200)
	if e, doc := s.event(); doc["status"] != "cancelled" || e.id == last.id {
		t.Error(doc)
	}
	r.call("GET", "/api/v1/status/events", nil, bearer("kst_wrong")).refused(401, "UNAUTHENTICATED")
	if p := r.call("HEAD", "/api/v1/status/events", nil, bearer(tok2)).want(200); p.Raw != "" {
		t.Error(p.Raw)
	}
}

func mustJSON(t testing.TB, v any) string {
	b, err := json.Marshal(v)
	ok(t, err)
	return string(b)
}

// However fast things change, there are at most two events a second, and the last one has the last state.
func TestEventsAreCoalesced(t *testing.T) {
	r := newRig(t)
	id, tok := r.signUp(1, "enterprise")
	s := r.stream("/api/v1/status/events", bearer(tok))
	first, _ := s.event()
	for range 20 {
		r.as("POST", "/api/v1/requests/"+id+"/claim", nil).want(200)
		r.as("POST", "/api/v1/requests/"+id+"/release", nil).want(200)
	}
	r.as("POST", "/api/v1/requests/"+id+"/cancel", nil).want(200)
	before := first.at
	for {
		e, doc := s.event()
		if gap := e.at.Sub(before); gap < 300*time.Millisecond { // 500 ms apart when sent; some slack for the way
			t.Errorf("two events within %s", gap)
		}
		before = e.at
		if doc["status"] == "cancelled" {
			return
		}
	}
}

// The server's timeouts are for calls that end; a stream outlives them, with comments to keep it alive. What no signal tells (another
// replica did it) is found by reading again.
func TestStreamOutlivesServerTimeouts(t *testing.T) {
	const short = 150 * time.Millisecond
	r := newRig(t, func(o *httpapi.Options, s *http.Server) {
		s.ReadTimeout, s.WriteTimeout, s.IdleTimeout = short, short, short
		o.Pace = web.Pace{Beat: short, Reread: short, Gap: time.Millisecond}
	})
	id, tok := r.signUp(1, "enterprise")
	s := r.stream("/api/v1/status/events", bearer(tok))
	s.event()
	for range 5 {
		if e, open := s.next(); !open || !e.comment {
			t.Fatalf("%+v %v", e, open)
		}
	}
	ok(t, r.Store.Write(t.Context(), func(tx hub.Tx) error { // behind the back of this process's events
		q, err := tx.LockRequest(t.Context(), id)
		if err != nil {
			return err
		}
		q.State = hub.Cancelled
		return tx.UpdateRequest(t.Context(), q)
	}))
	s.until(func(d map[string]any) bool { return d["status"] == "cancelled" })
}

// A shutdown ends streams at once, and cleanly: the client sees an end, no broken connection.
func TestShutdownEndsStreams(t *testing.T) {
	r := newRig(t)
	_, tok := r.signUp(1, "enterprise")
	s := r.stream("/api/v1/status/events", bearer(tok))
	s.event()
	r.stop()
	if e, open := s.next(); open {
		t.Errorf("%+v", e)
	}
}

// Logging out ends an operator's streams.
func TestLogoutEndsStreams(t *testing.T) {
	r := newRig(t)
	id, _ := r.signUp(1, "enterprise")
	cookie := r.session(adminMail, password)
	s := r.stream("/api/v1/requests/"+id+"/events", cookie)
	if _, doc := s.event(); doc["id"] != id || doc["position"] != 1.0 {
		t.Error(doc)
	}
	r.call("POST", "/api/v1/auth/logout", nil, cookie).want(200)
	for {
		if e, open := s.next(); !open {
			return
		} else if !e.comment {
			t.Logf("%+v", e)
		}
	}
}

// Connections go on working after a stream ended on them: its deadlines do not stay behind.
func TestConnectionAfterStream(t *testing.T) {
	r := newRig(t)
	_, tok := r.signUp(1, "enterprise")
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(r.URL, "http://"))
	ok(t, err)
	defer func() { ok(t, c.Close()) }()
	in := bufio.NewReader(c)
	ask := func(path string) *http.Response {
		_, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+tok+"\r\n\r\n")
		ok(t, err)
		res, err := http.ReadResponse(in, nil) //nolint:bodyclose // read to its end by the caller
		ok(t, err)
		return res
	}
	events := ask("/api/v1/status/events")
	go r.stop()
	_, err = io.Copy(io.Discard, events.Body)
	ok(t, err)
	if res := ask("/api/v1/status"); res.StatusCode != 200 {
		t.Error(res.Status)
	}
}
