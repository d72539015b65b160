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

// However fast things change, there are at most two events a second, and the last one has the last state. When each was read by the hub is
// what is compared: on the way here one may be held up and the next one not.
func TestEventsAreCoalesced(t *testing.T) {
	r := newRig(t)
	id, tok := r.signUp(1, "enterprise")
	s := r.stream("/api/v1/status/events", bearer(tok))
	_, first := s.event()
	for range 20 {
		r.as("POST", "/api/v1/requests/"+id+"/claim", nil).want(200)
		r.as("POST", "/api/v1/requests/"+id+"/release", nil).want(200)
	}
	r.as("POST", "/api/v1/requests/"+id+"/cancel", nil).want(200)
	asOf := func(doc map[string]any) time.Time {
		at, err := time.Parse(time.RFC3339Nano, doc["as_of"].(string))
		ok(t, err)
		return at
	}
	before := asOf(first)
	for {
		_, doc := s.event()
		at := asOf(doc)
		if gap := at.Sub(before); gap < 450*time.Millisecond { // the pause of 500 ms begins after a look; the clock of the wall may be corrected a little
			t.Errorf("two events within %s", gap)
		}
		before = at
		if doc["status"] == "cancelled" {
			return
		}
	}
}

// The server's timeouts are for calls that end; a stream outlives them, with comments to keep it alive. What no signal tells (another
// replica did it) is found by reading again.
func TestStreamOutlivesServerTimeouts(t *testing.T) {
	const limit, short = time.Second, 150 * time.Millisecond
	r := newRig(t, func(o *httpapi.Options, s *http.Server) {
		s.ReadTimeout, s.WriteTimeout, s.IdleTimeout = limit, limit, limit
		o.Pace = web.Pace{Beat: short, Reread: short, Gap: time.Millisecond}
	})
	up, err := r.Service.SignUp(t.Context(), hub.SignUp{Email: "a@example.com", CompanyName: "A", ContactName: "A", Plan: "enterprise"}) // a call might take longer than the limit
	ok(t, err)
	id := up.Request.ID
	s := r.stream("/api/v1/status/events", bearer(up.StatusToken))
	s.event()
	for range 10 {
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
	for e, open := s.next(); open; e, open = s.next() {
		if !e.comment { // the first comes at a random instant
			t.Errorf("%+v", e)
		}
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

// A stream is the last answer on its connection, and says so.
func TestStreamIsTheLastAnswer(t *testing.T) {
	r := newRig(t)
	_, tok := r.signUp(1, "enterprise")
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(r.URL, "http://"))
	ok(t, err)
	defer func() { ok(t, c.Close()) }()
	ok(t, c.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(c, "GET /api/v1/status/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+tok+"\r\n\r\n")
	ok(t, err)
	in := bufio.NewReader(c)
	res, err := http.ReadResponse(in, nil)
	ok(t, err)
	r.stop()
	_, err = io.Copy(io.Discard, res.Body)
	ok(t, err)
	ok(t, res.Body.Close())
	if _, err := in.ReadByte(); !res.Close || err != io.EOF { //nolint:errorlint // bufio gives it bare
		t.Error(res.Header, err)
	}
}

// Whoever comes back with the last id, to whichever hub, is told what changed meanwhile and nothing else; an id that no hub gave is none.
func TestResume(t *testing.T) {
	r := newRig(t)
	first, _ := r.signUp(1, "enterprise")
	_, tok := r.signUp(2, "enterprise")
	s := r.stream("/api/v1/status/events", bearer(tok))
	was, _ := s.event()
	s.stop()
	r.as("POST", "/api/v1/requests/"+first+"/claim", nil).want(200)
	s = r.stream("/api/v1/status/events", bearer(tok), "Last-Event-ID: "+was.id)
	now, doc := s.event()
	if doc["position"] != 1.0 || now.id == was.id {
		t.Error(doc)
	}
	s.stop()
	for _, id := range []string{"", "x", now.id + "0", strings.Repeat("z", 16), was.id} {
		if e, doc := r.stream("/api/v1/status/events", bearer(tok), "Last-Event-ID: "+id).event(); e.id != now.id || doc["position"] != 1.0 {
			t.Errorf("after %q: %+v", id, e)
		}
	}
}

// A place that goes back says why, once.
func TestEventSaysWhyAPlaceWentBack(t *testing.T) {
	r := newRig(t, func(o *httpapi.Options, _ *http.Server) { o.Pace = web.Pace{Gap: time.Millisecond} })
	_, tok := r.signUp(1, "starter")
	s := r.stream("/api/v1/status/events", bearer(tok))
	if _, doc := s.event(); doc["position"] != 1.0 || doc["reason"] == hub.HigherPriorityJoined {
		t.Error(doc)
	}
	r.signUp(2, "enterprise")
	e, doc := s.until(func(d map[string]any) bool { return d["position"] == 2.0 })
	if doc["reason"] != hub.HigherPriorityJoined {
		t.Error(doc)
	}
	again, doc := r.stream("/api/v1/status/events", bearer(tok)).event()
	if again.id != e.id || doc["reason"] == hub.HigherPriorityJoined {
		t.Errorf("the same state without what was news: %s, not %s: %v", again.id, e.id, doc)
	}
}
