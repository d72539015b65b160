//go:build unix

package streams

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kitshub/kitshub/internal/proof/placekit"
)

// audience is many open streams, read by one goroutine each.
type audience struct {
	addr    string
	mine    func(i int) []byte // what every document of a seat says; nil: not looked at
	seats   []seat
	readers sync.WaitGroup
	events  atomic.Int64

	mu     sync.Mutex // guards what follows, and the seats' fields below their connections
	want   func(i, position int) bool
	right  int
	all    chan struct{}
	target int
	wrong  []string // what nobody should have been told
}

type seat struct {
	conn     net.Conn
	position int
	at       time.Time // when it came
	right    bool      // as want has it
	id       string    // of the last event
	known    string    // the id it came back with
	doc      []byte    // the last document, of a seat that is compared
	gone     error     // why it ended; io.EOF where it was told so
	done     chan struct{}
}

// compared is one in so many seats whose documents are kept.
const compared = 100

func newAudience(addr string, n int) *audience {
	return &audience{addr: addr, seats: make([]seat, n), want: func(int, int) bool { return false }}
}

const openAtOnce = 64

// open connects all; each asks for the stream of its token.
func (a *audience) open(ctx context.Context, token func(i int) string) error {
	for i := range a.seats {
		a.seats[i].position = -1
	}
	return a.each(len(a.seats), func(i int) error { return a.connect(ctx, i, token(i)) })
}

// each does something for the first n seats, some at once.
func (a *audience) each(n int, do func(i int) error) error {
	var wg sync.WaitGroup
	var next atomic.Int64
	errs := make([]error, openAtOnce)
	for k := range openAtOnce {
		wg.Go(func() {
			for errs[k] == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				errs[k] = do(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (a *audience) connect(ctx context.Context, i int, token string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", a.addr)
	if err != nil {
		return err
	}
	a.mu.Lock()
	s := &a.seats[i]
	s.conn, s.gone, s.known = conn, nil, s.id
	text := placekit.Get(a.addr, "/api/v1/status/events", token)
	if s.known != "" {
		text = append(text[:len(text)-len("\r\n")], "Last-Event-ID: "+s.known+"\r\n\r\n"...)
	}
	a.mu.Unlock()
	if _, err := conn.Write(text); err != nil {
		return err
	}
	br := bufio.NewReaderSize(conn, 2<<10)
	if err := conn.SetReadDeadline(time.Now().Add(pushWithin)); err != nil {
		return err
	}
	first, err := br.ReadString('\n')
	if err != nil || !strings.HasPrefix(first, "HTTP/1.1 200") {
		return fmt.Errorf("stream %d: %q: %w", i, first, err)
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	done := make(chan struct{})
	s.done = done
	a.readers.Go(func() {
		defer close(done)
		err := a.read(i, br)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.seats[i].gone = err
	})
	return nil
}

// leave closes the connections of some seats, without a word.
func (a *audience) leave(some int) {
	for i := range some {
		_ = a.seats[i].conn.Close()
		<-a.seats[i].done
	}
}

// back connects the same again; each says what it was told last.
func (a *audience) back(ctx context.Context, some int, token func(i int) string) error {
	return a.each(some, func(i int) error { return a.connect(ctx, i, token(i)) })
}

var (
	idLine   = []byte("id: ")
	dataLine = []byte("data: ")
	lastLine = []byte("0\r\n") // the last chunk
)

// read takes events until the connection ends.
func (a *audience) read(i int, br *bufio.Reader) error {
	var id [32]byte
	var idLen int
	for {
		line, err := br.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull): // a place stands at the beginning of the line
		case err != nil:
			return err
		case bytes.Equal(line, lastLine):
			return io.EOF
		}
		switch {
		case bytes.HasPrefix(line, idLine):
			idLen = copy(id[:], bytes.TrimSpace(line[len(idLine):]))
		case bytes.HasPrefix(line, dataLine):
			at := time.Now()
			a.events.Add(1)
			a.hear(i, id[:idLen], line[len(dataLine):], at)
		}
	}
}

func (a *audience) hear(i int, id, doc []byte, at time.Time) {
	position := placekit.PositionIn(doc)
	strange := a.mine != nil && !bytes.Contains(doc, a.mine(i))
	a.mu.Lock()
	defer a.mu.Unlock()
	s := &a.seats[i]
	if strange {
		a.wrong = append(a.wrong, fmt.Sprintf("customer %d was told somebody else's document", i))
	}
	if s.id = string(id); s.id == s.known && s.id != "" {
		a.wrong = append(a.wrong, fmt.Sprintf("customer %d came back and was told again what it knew", i))
	}
	s.known = ""
	if i%compared == 0 {
		s.doc = append(s.doc[:0], doc...)
	}
	if s.position == position { // the same place with another forecast
		return
	}
	s.position, s.at = position, at
	a.judge(i)
}

func (a *audience) judge(i int) {
	s := &a.seats[i]
	if s.right || !a.want(i, s.position) {
		return
	}
	s.right = true
	if a.right++; a.right == a.target {
		close(a.all)
	}
}

// await waits until n seats were told what want wants.
func (a *audience) await(ctx context.Context, n int, within time.Duration, want func(i, position int) bool) error {
	a.mu.Lock()
	a.want, a.right, a.target = want, 0, n
	all := make(chan struct{})
	a.all = all
	for i := range a.seats {
		a.seats[i].right = false
	}
	for i := range a.seats {
		a.judge(i)
	}
	a.mu.Unlock()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		a.mu.Lock()
		defer a.mu.Unlock()
		gone := 0
		for i := range a.seats {
			if a.seats[i].gone != nil {
				gone++
			}
		}
		return fmt.Errorf("%d of %d were told within %s, %d streams have ended", a.right, n, within, gone)
	}
}

// told gives the last position of each.
func (a *audience) told() []int {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]int, len(a.seats))
	for i := range a.seats {
		out[i] = a.seats[i].position
	}
	return out
}

// latencies gives how long after begun each was told, sorted, in milliseconds.
func (a *audience) latencies(begun time.Time) []float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]float64, len(a.seats))
	for i := range a.seats {
		out[i] = float64(a.seats[i].at.Sub(begun).Microseconds()) / 1000
	}
	slices.Sort(out)
	return out
}

func (a *audience) close() {
	for i := range a.seats {
		if a.seats[i].conn != nil {
			_ = a.seats[i].conn.Close()
		}
	}
	a.readers.Wait()
}

// wrongs gives what nobody should have been told.
func (a *audience) wrongs() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.wrong
}

// doc gives the last document of a compared seat.
func (a *audience) doc(i int) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return bytes.Clone(a.seats[i].doc)
}

// ended waits until all streams have ended and counts those that were told so properly.
func (a *audience) ended() (n int) {
	a.readers.Wait()
	for i := range a.seats {
		if a.seats[i].gone == io.EOF { //nolint:errorlint // given bare
			n++
		}
	}
	return n
}

// deaf is a stream that nobody reads.
type deaf struct {
	conn *net.TCPConn
	cut  bool
}

func openDeaf(ctx context.Context, addr, token string) (*deaf, error) {
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) { // before it is connected, or the kernel offers its usual window
		cerr := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1) }) // the kernel's least
		return errors.Join(cerr, err)
	}}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(placekit.Get(addr, "/api/v1/status/events", token)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	tcp, _ := conn.(*net.TCPConn)
	return &deaf{conn: tcp}, nil
}

// isCut reports whether the hub has cut it off, without reading anything.
func (d *deaf) isCut() (bool, error) {
	raw, err := d.conn.SyscallConn()
	if err != nil {
		return false, err
	}
	var code int
	var gerr error
	err = raw.Control(func(fd uintptr) { code, gerr = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR) })
	d.cut = d.cut || syscall.Errno(code) == syscall.ECONNRESET //nolint:gosec // an errno; the kernel tells it once
	return d.cut, errors.Join(err, gerr)
}
