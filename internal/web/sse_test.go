package web_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/events"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/testkit"
	"github.com/kitshub/kitshub/internal/web"
)

const patience = 60 * time.Second

// silent is a beat for tests that compare every byte: the first comment of a stream comes at a random instant within it.
const silent = 100 * 365 * 24 * time.Hour

// house is a server of one kind of stream.
type house struct {
	t       testing.TB
	bus     *events.Bus
	streams *web.Streams
	stop    context.CancelFunc
	srv     *httptest.Server
	log     *testkit.Log
	seen    chan string // what the metrics are told
	value   atomic.Int64
	pace    web.Pace
}

// open serves streams that show the house's value, and at /own also those that change by themselves.
func openHouse(t testing.TB, pace web.Pace) *house {
	h := &house{t: t, bus: events.New(), log: &testkit.Log{}, seen: make(chan string, 100), pace: pace}
	ends, stop := context.WithCancel(context.Background())
	log := slog.New(slog.NewJSONHandler(h.log, nil))
	h.stop, h.streams = stop, web.NewStreams(ends, h.bus, log)
	common := web.Common(web.Options{Log: log, Observe: func(route, method string, status int, _ time.Duration) {
		h.seen <- fmt.Sprint(method, " ", route, " ", status)
	}})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /events/{topic}", func(w http.ResponseWriter, r *http.Request) {
		if err := h.streams.Serve(w, r, h.feed(r.PathValue("topic"))); err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
		}
	})
	mux.HandleFunc("GET /big", func(w http.ResponseWriter, r *http.Request) {
		if err := h.streams.Serve(w, r, h.big()); err != nil {
			t.Error(err)
		}
	})
	h.srv = httptest.NewUnstartedServer(common(mux))
	h.srv.EnableHTTP2 = true
	t.Cleanup(func() {
		stop()
		if err := h.streams.Wait(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		h.srv.Close()
	})
	return h
}

func (h *house) start() *house { h.srv.Start(); return h }

func (h *house) feed(topic string) web.Feed {
	return web.Feed{Name: "status", Topic: topic, Pace: h.pace, Read: func(_ context.Context, b []byte) ([]byte, web.Snapshot, error) {
		v := h.value.Load()
		return fmt.Appendf(b, "%s is %d", topic, v), web.Snapshot{ID: uint64(v), Line: true}, nil //nolint:gosec // positive
	}}
}

// big is more than any buffer takes, and new each time.
func (h *house) big() web.Feed {
	n := uint64(0)
	return web.Feed{Name: "status", Pace: h.pace, Read: func(_ context.Context, b []byte) ([]byte, web.Snapshot, error) {
		n++
		return append(b, bytes.Repeat([]byte("x"), 1<<20)...), web.Snapshot{ID: n, Line: true}, nil
	}}
}

// set changes the value and tells of it.
func (h *house) set(v int64, topics ...string) {
	h.value.Store(v)
	h.bus.Publish(topics...)
}

// caller is one connection, spoken to by hand.
type caller struct {
	t    testing.TB
	conn net.Conn
	res  *http.Response
	in   *bufio.Reader
}

func (h *house) call(path string, headers ...string) *caller {
	h.t.Helper()
	conn, err := (&net.Dialer{}).DialContext(h.t.Context(), "tcp", h.srv.Listener.Addr().String())
	ok(h.t, err)
	h.t.Cleanup(func() { _ = conn.Close() })
	ok(h.t, conn.SetReadDeadline(time.Now().Add(patience)))
	c := &caller{t: h.t, conn: conn}
	proto := "HTTP/1.1"
	if len(headers) > 0 && strings.HasPrefix(headers[0], "HTTP/") {
		proto, headers = headers[0], headers[1:]
	}
	_, err = io.WriteString(conn, "GET "+path+" "+proto+"\r\nHost: x\r\n"+strings.Join(append(headers, "", ""), "\r\n"))
	ok(h.t, err)
	c.res, err = http.ReadResponse(bufio.NewReader(conn), nil) //nolint:bodyclose // closed with its connection
	ok(h.t, err)
	c.in = bufio.NewReader(c.res.Body)
	return c
}

// hear reads on to the next event and gives its id and its text.
func (c *caller) hear() (id, data string) {
	c.t.Helper()
	for {
		line, err := c.in.ReadString('\n')
		ok(c.t, err)
		line = strings.TrimSuffix(line, "\n")
		if after, is := strings.CutPrefix(line, "id: "); is {
			id = after
		}
		if after, is := strings.CutPrefix(line, "data: "); is {
			return id, after
		}
	}
}

func (c *caller) wants(data string) string {
	c.t.Helper()
	id, got := c.hear()
	if got != data {
		c.t.Fatalf("told %q, not %q", got, data)
	}
	return id
}

// ends reads until the end, which must be a proper one.
func (c *caller) ends() {
	c.t.Helper()
	rest, err := io.ReadAll(c.in)
	if err != nil {
		c.t.Errorf("%v after %q", err, rest)
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestStreamTellsItsOwnAndTheLinesChanges(t *testing.T) {
	h := openHouse(t, web.Pace{Gap: time.Millisecond, Reread: time.Hour}).start()
	one, two := h.call("/events/one", "X-Request-Id: mine"), h.call("/events/two")
	if r := one.res; r.StatusCode != 200 || r.Header.Get("Content-Type") != "text/event-stream" || r.Header.Get("X-Request-Id") != "mine" || !r.Close ||
		r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Content-Security-Policy") == "" || r.Header.Get("Date") == "" || len(r.TransferEncoding) != 1 {
		t.Errorf("%+v", r)
	}
	one.wants("one is 0")
	two.wants("two is 0")
	h.set(1, "one") // nobody else is told
	if id := one.wants("one is 1"); id != "0000000000000001" {
		t.Error(id)
	}
	h.set(2, hub.TopicLine)
	one.wants("one is 2")
	two.wants("two is 2")
	again := h.call("/events/two", "Last-Event-ID: 0000000000000002")
	nowhere := h.call("/events/two", "Last-Event-ID: from nowhere")
	nowhere.wants("two is 2")
	h.set(3, hub.TopicLine)
	again.wants("two is 3") // without having been told what it knew
}

// The server does not know these connections any more, so that its stop would forget them.
func TestStopEndsStreamsProperly(t *testing.T) {
	h := openHouse(t, web.Pace{}).start()
	var all []*caller
	for i := range 50 {
		c := h.call(fmt.Sprintf("/events/%d", i))
		c.wants(fmt.Sprintf("%d is 0", i))
		all = append(all, c)
	}
	old := h.call("/events/old", "HTTP/1.0")
	old.wants("old is 0")
	if old.res.Proto != "HTTP/1.0" || len(old.res.TransferEncoding) != 0 {
		t.Errorf("%+v", old.res)
	}
	h.stop()
	ok(t, h.streams.Wait(t.Context()))
	for _, c := range append(all, old) {
		c.ends()
	}
	late := h.call("/events/late")
	late.wants("late is 0")
	late.ends()
}

// A call is logged and counted once, when its stream ends, with all that was sent; another who stays is not.
func TestStreamIsLoggedAtItsEnd(t *testing.T) {
	h := openHouse(t, web.Pace{Reread: time.Hour, Beat: silent}).start()
	stays := h.call("/events/stays")
	stays.wants("stays is 0")
	goes := h.call("/events/goes", "X-Request-Id: goes", "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	goes.wants("goes is 0")
	select {
	case line := <-h.seen:
		t.Fatalf("%s while it is open", line)
	default:
	}
	ok(t, goes.conn.Close())
	if line := <-h.seen; line != "GET /events/{topic} 200" {
		t.Error(line)
	}
	h.stop()
	if line := <-h.seen; line != "GET /events/{topic} 200" {
		t.Error(line)
	}
	ok(t, h.streams.Wait(t.Context()))
	body := "retry: 2000\n\nid: 0000000000000000\nevent: status\ndata: goes is 0\n\n"
	want := fmt.Sprintf(`"bytes":%d,"request_id":"goes","trace_id":"0af7651916cd43dd8448eb211c80319c"`, len(body))
	if log := h.log.String(); strings.Count(log, `"http"`) != 2 || !strings.Contains(log, want) {
		t.Errorf("%s\nwants %s", log, want)
	}
}

// Those who do not read are cut off, and hold nobody else up meanwhile.
func TestSlowReadersAreCutOffAndHoldNobodyUp(t *testing.T) {
	const deaf = 40 // more than there are workers
	h := openHouse(t, web.Pace{Gap: time.Millisecond, Patience: 2 * time.Second}).start()
	var bad []*caller
	for range deaf {
		bad = append(bad, h.call("/big"))
	}
	reader := h.call("/events/reader")
	reader.wants("reader is 0")
	begun := time.Now()
	cut := 0
	for v := int64(1); cut < deaf; v++ {
		h.set(v, hub.TopicLine)
		reader.wants(fmt.Sprintf("reader is %d", v))
		if time.Since(begun) > patience {
			t.Fatalf("only %d of %d who do not read were cut off", cut, deaf)
		}
		for more := true; more; {
			select {
			case <-h.seen:
				cut++
			default:
				more = false
			}
		}
	}
	for _, c := range bad { // they can tell it from an end
		if n, err := io.Copy(io.Discard, c.in); err == nil {
			t.Errorf("a proper end after %d bytes", n)
		}
	}
}

// A stop waits for nobody who does not read.
func TestStopWaitsForNoSlowReader(t *testing.T) {
	h := openHouse(t, web.Pace{Gap: time.Millisecond, Reread: time.Millisecond, Patience: time.Hour}).start()
	for range 20 {
		h.call("/big")
	}
	h.stop()
	ctx, enough := context.WithTimeout(t.Context(), patience)
	defer enough()
	ok(t, h.streams.Wait(ctx))
}

// Who talks on is no reader.
func TestStreamIsNoPlaceToTalk(t *testing.T) {
	h := openHouse(t, web.Pace{Reread: time.Hour}).start()
	c := h.call("/events/x")
	c.wants("x is 0")
	_, err := io.WriteString(c.conn, "GET /events/y HTTP/1.1\r\nHost: x\r\n\r\n") // too early, but no harm
	ok(t, err)
	h.set(1, "x")
	c.wants("x is 1")
	_, _ = io.WriteString(c.conn, strings.Repeat("x", 64<<10)) // may be cut off in the middle
	if line := <-h.seen; line != "GET /events/{topic} 200" {
		t.Error(line)
	}
}

// Where the connection cannot be taken over the stream is the same.
func TestStreamOverHTTP2(t *testing.T) {
	h := openHouse(t, web.Pace{Gap: time.Millisecond, Reread: time.Hour})
	h.srv.StartTLS()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	open := func(ctx context.Context, topic string) *caller {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.srv.URL+"/events/"+topic, nil)
		ok(t, err)
		res, err := h.srv.Client().Do(req)
		ok(t, err)
		t.Cleanup(func() { _ = res.Body.Close() })
		if res.ProtoMajor != 2 {
			t.Fatal(res.Proto)
		}
		return &caller{t: t, res: res, in: bufio.NewReader(res.Body)}
	}
	goes, stays := open(ctx, "goes"), open(t.Context(), "stays")
	goes.wants("goes is 0")
	stays.wants("stays is 0")
	h.set(1, hub.TopicLine)
	goes.wants("goes is 1")
	stays.wants("stays is 1")
	leave()
	if line := <-h.seen; !strings.HasPrefix(line, "GET /events/{topic}") {
		t.Error(line)
	}
	h.set(2, "stays")
	stays.wants("stays is 2")
	h.stop()
	stays.ends()
}

// Over TLS nothing can be tried without waiting.
func TestStreamOverTLS(t *testing.T) {
	h := openHouse(t, web.Pace{Gap: time.Millisecond, Reread: time.Hour})
	h.srv.EnableHTTP2 = false
	h.srv.StartTLS()
	res, err := h.srv.Client().Get(h.srv.URL + "/events/x") //nolint:noctx // closed with the test
	ok(t, err)
	defer func() { _ = res.Body.Close() }()
	c := &caller{t: t, res: res, in: bufio.NewReader(res.Body)}
	c.wants("x is 0")
	h.set(1, "x")
	c.wants("x is 1")
	h.stop()
	c.ends()
}

// What goes wrong in one stream ends that one.
func TestPanicEndsOneStream(t *testing.T) {
	h := openHouse(t, web.Pace{Gap: time.Millisecond, Reread: time.Hour})
	n := 0
	h.srv.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := h.feed(r.URL.Path)
		if read := f.Read; r.URL.Path == "/bad" {
			f.Read = func(ctx context.Context, b []byte) ([]byte, web.Snapshot, error) {
				if n++; n > 1 {
					panic("out of luck")
				}
				return read(ctx, b)
			}
		}
		if err := h.streams.Serve(w, r, f); err != nil {
			t.Error(err)
		}
	})
	h.start()
	bad, good := h.call("/bad"), h.call("/good")
	bad.wants("/bad is 0")
	good.wants("/good is 0")
	h.set(1, hub.TopicLine)
	good.wants("/good is 1")
	bad.ends()
	if log := h.log.String(); !strings.Contains(log, "out of luck") {
		t.Error(log)
	}
}

// Whoever comes and goes while things change: everybody who stays is told the last value, and nothing is left open.
func TestManyComeAndGo(t *testing.T) {
	h := openHouse(t, web.Pace{Gap: 5 * time.Millisecond, Beat: 20 * time.Millisecond, Reread: time.Hour}).start()
	stop := make(chan struct{})
	var all sync.WaitGroup
	for k := range 8 {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				c := h.call(fmt.Sprintf("/events/%d-%d", k, i))
				c.hear()
				_ = c.conn.Close()
				<-h.seen
			}
		})
	}
	var stayers []*caller
	for i := range 20 {
		stayers = append(stayers, h.call(fmt.Sprintf("/events/s%d", i)))
	}
	for v := int64(1); v <= 200; v++ {
		h.set(v, hub.TopicLine)
	}
	for i, c := range stayers {
		for want := fmt.Sprintf("s%d is 200", i); ; {
			if _, got := c.hear(); got == want {
				break
			}
		}
	}
	close(stop)
	all.Wait()
}

// A refusal before the first event is an ordinary answer; later a passing fault is passed over, and a final one ends the stream.
func TestFeedErrors(t *testing.T) {
	ends, stop := context.WithCancel(t.Context())
	defer stop()
	streams := web.NewStreams(ends, events.New(), slog.New(slog.DiscardHandler))
	gone := hub.E(hub.CodeUnauthenticated, "no", "")
	first := web.Feed{Read: func(context.Context, []byte) ([]byte, web.Snapshot, error) { return nil, web.Snapshot{}, gone }}
	w := httptest.NewRecorder()
	if err := streams.Serve(w, httptest.NewRequest(http.MethodGet, "/", nil), first); !errors.Is(err, gone) || w.Body.Len() > 0 {
		t.Error(err, w.Body)
	}
	type step struct {
		id   uint64
		data string
		err  error
	}
	steps := []step{{1, "a", nil}, {0, "", hub.Unavailable(nil)}, {0, "", context.DeadlineExceeded}, {1, "a", nil}, {2, "b", nil}, {0, "", gone}}
	i := -1
	f := web.Feed{Name: "status", Pace: web.Pace{Gap: time.Microsecond, Reread: time.Millisecond, Beat: silent}, Read: func(_ context.Context, b []byte) ([]byte, web.Snapshot, error) {
		i++
		return append(b, steps[i].data...), web.Snapshot{ID: steps[i].id}, steps[i].err
	}}
	w = httptest.NewRecorder()
	if err := streams.Serve(w, httptest.NewRequest(http.MethodGet, "/", nil), f); err != nil {
		t.Error(err)
	}
	want := "retry: 2000\n\nid: 0000000000000001\nevent: status\ndata: a\n\nid: 0000000000000002\nevent: status\ndata: b\n\n"
	if got := w.Body.String(); got != want {
		t.Errorf("%q", got)
	}
}

// One change to a thousand readers, until the last has read it: what the hub and the kernel do, and the readers as well.
func BenchmarkChangeToAThousandStreams(b *testing.B) {
	const n = 1000
	h := openHouse(b, web.Pace{Gap: 1, Reread: time.Hour})
	h.seen = make(chan string, n)
	h.start()
	var told sync.WaitGroup
	for i := range n {
		c := h.call(fmt.Sprintf("/events/%d", i))
		c.hear()
		if err := c.conn.SetReadDeadline(time.Time{}); err != nil {
			b.Fatal(err)
		}
		go func() {
			for {
				line, err := c.in.ReadSlice('\n')
				if err != nil {
					return
				}
				if bytes.HasPrefix(line, []byte("data: ")) {
					told.Done()
				}
			}
		}()
	}
	v := int64(0)
	for b.Loop() {
		told.Add(n)
		v++
		h.set(v, hub.TopicLine)
		told.Wait()
	}
}
