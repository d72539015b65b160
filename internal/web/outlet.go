package web

import (
	"net"
	"net/http"
	"syscall"
	"time"
)

// outlet is the way to a stream's reader. What it is given to try begins with [room].
type outlet interface {
	// try writes what goes without waiting and gives what is left.
	try(text []byte) (left []byte, err error)
	// write writes what try left. It waits, see within.
	write(text []byte) error
	// within bounds the writing from now on; 0 is no bound.
	within(d time.Duration)
	// hurry makes a write that waits fail soon.
	hurry()
	// close ends it; properly is so that the reader knows it for an end.
	close(properly bool)
}

// room is left before each text for the head of its chunk, so that both go by one write.
const room = "00000000\r\n"

const (
	// sendBuffer is what the kernel is asked to keep for a reader that does not read (Linux keeps twice that, its own records included); by
	// itself it would take megabytes. It is some seconds of events.
	sendBuffer = 8 << 10
	// maxTalk is how much a reader may say on a stream, which is nothing but a next call that a client sent too early.
	maxTalk = 4 << 10
	// lastWord is how long the proper end of a stream may take where it does not go at once.
	lastWord = time.Second
)

// open takes the connection over where that is possible, and tries to send the head of the answer and the first text. wait returns when the
// handler may.
func (s *stream) open(w http.ResponseWriter, r *http.Request, text []byte) (left []byte, wait func(), err error) {
	s.bytes = int64(len(text) - len(room))
	rc := http.NewResponseController(w)
	conn, _, refused := rc.Hijack()
	if refused != nil { // HTTP/2, or no connection at all
		return s.borrow(w, r, rc, text)
	}
	c := &ownConn{conn: conn, chunked: r.ProtoAtLeast(1, 1)}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBuffer)
		c.raw, _ = tcp.SyscallConn() // without it each write is one that waits
	}
	s.out, s.rest = c, handOver(r)
	left, err = c.send(append(c.head(w.Header()), c.frame(text)...))
	go s.hear(conn)
	return left, func() {}, err
}

// hear waits until the reader leaves.
func (s *stream) hear(conn net.Conn) {
	var b [16]byte
	for heard := 0; heard < maxTalk; {
		n, err := conn.Read(b[:])
		if err != nil {
			break
		}
		heard += n
	}
	s.e.left(s)
}

// ownConn is a connection that was taken over from the server.
type ownConn struct {
	conn    net.Conn
	raw     syscall.RawConn // may be nil
	chunked bool            // HTTP/1.0 knows no chunks: there the end of the connection is the end of the stream
}

// head is the head of the answer. A stream is the last answer on its connection.
func (c *ownConn) head(h http.Header) []byte {
	b := make([]byte, 0, 1<<10)
	proto := "HTTP/1.0"
	if c.chunked {
		proto = "HTTP/1.1"
		h.Set("Transfer-Encoding", "chunked")
	}
	b = append(b, proto+" 200 OK\r\nConnection: close\r\nDate: "...)
	b = append(time.Now().UTC().AppendFormat(b, http.TimeFormat), "\r\n"...)
	w := lines(b)
	_ = h.Write(&w) // it takes everything
	return append(w, "\r\n"...)
}

// lines is an io.Writer.
type lines []byte

func (l *lines) Write(b []byte) (int, error) {
	*l = append(*l, b...)
	return len(b), nil
}

// frame makes a text what goes over the wire.
func (c *ownConn) frame(text []byte) []byte {
	if !c.chunked {
		return text[len(room):]
	}
	size := len(text) - len(room)
	for i := len(room) - len("\r\n") - 1; i >= 0; i-- {
		text[i] = "0123456789abcdef"[size&0xf]
		size >>= 4
	}
	return append(text, "\r\n"...)
}

func (c *ownConn) try(text []byte) ([]byte, error) {
	if len(text) == len(room) {
		return nil, nil
	}
	return c.send(c.frame(text))
}

func (c *ownConn) send(text []byte) (left []byte, err error) {
	if c.raw == nil {
		return text, nil
	}
	n, err := writeNow(c.raw, text)
	return text[n:], err
}

func (c *ownConn) write(text []byte) error {
	_, err := c.conn.Write(text)
	return err
}

func (c *ownConn) within(d time.Duration) {
	var at time.Time
	if d > 0 {
		at = time.Now().Add(d)
	}
	_ = c.conn.SetWriteDeadline(at) // of a closed connection: then the write says so
}

func (c *ownConn) hurry() { _ = c.conn.SetWriteDeadline(time.Now()) }

func (c *ownConn) close(properly bool) {
	if properly && c.chunked {
		left, err := c.send([]byte("0\r\n\r\n"))
		if err == nil && len(left) > 0 {
			c.within(lastWord)
			err = c.write(left)
		}
		properly = err == nil
	}
	if tcp, ok := c.conn.(*net.TCPConn); ok && !properly {
		_ = tcp.SetLinger(0) // or the kernel would keep what a reader who is cut off did not take
	}
	_ = c.conn.Close()
}

// borrow leaves the connection to the server; then the handler must wait for the end of the stream.
func (s *stream) borrow(w http.ResponseWriter, r *http.Request, rc *http.ResponseController, text []byte) (left []byte, wait func(), err error) {
	c := &lentConn{w: w, rc: rc, done: make(chan struct{})}
	s.out = c
	_ = rc.SetReadDeadline(time.Time{}) // the server's own is for calls that end
	w.WriteHeader(http.StatusOK)
	wait = func() {
		select {
		case <-c.done:
		case <-r.Context().Done():
			s.e.left(s)
			<-c.done
		}
	}
	left, err = c.try(text)
	return left, wait, err
}

// lentConn writes through the server, which knows no way to do so without waiting.
type lentConn struct {
	w    http.ResponseWriter
	rc   *http.ResponseController
	done chan struct{}
}

func (c *lentConn) try(text []byte) ([]byte, error) { return text[len(room):], nil }

func (c *lentConn) write(text []byte) error {
	if _, err := c.w.Write(text); err != nil {
		return err
	}
	return c.rc.Flush()
}

func (c *lentConn) within(d time.Duration) {
	var at time.Time
	if d > 0 {
		at = time.Now().Add(d)
	}
	_ = c.rc.SetWriteDeadline(at) // where it is not supported there is no slow reader either
}

// hurry leaves a write that is all but done its time: over HTTP/2 a deadline that passes ends the stream as an error of the server's.
func (c *lentConn) hurry() { c.within(lastWord) }

func (c *lentConn) close(bool) {
	c.within(0)
	close(c.done)
}
