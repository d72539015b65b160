//go:build unix

package streams

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kitshub/kitshub/internal/proof/placekit"
)

// audience is many open streams, read by one goroutine each.
type audience struct {
	addr    string
	seats   []seat
	readers sync.WaitGroup
	events  atomic.Int64

	mu     sync.Mutex // guards what follows, and the seats' fields below their connections
	want   func(i, position int) bool
	right  int
	all    chan struct{}
	target int
}

type seat struct {
	conn     net.Conn
	position int
	at       time.Time // when it came
	right    bool      // as want has it
	gone     error
}

func newAudience(addr string, n int) *audience {
	return &audience{addr: addr, seats: make([]seat, n), want: func(int, int) bool { return false }}
}

const openAtOnce = 64

// open connects all; each asks for the stream of its token.
func (a *audience) open(ctx context.Context, token func(i int) string) error {
	a.begin()
	var wg sync.WaitGroup
	var next atomic.Int64
	errs := make([]error, openAtOnce)
	for k := range openAtOnce {
		wg.Go(func() {
			for errs[k] == nil {
				i := int(next.Add(1)) - 1
				if i >= len(a.seats) {
					return
				}
				errs[k] = a.connect(ctx, i, token(i))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// begin makes every seat begin with no position.
func (a *audience) begin() {
	for i := range a.seats {
		a.seats[i].position = -1
	}
}

func (a *audience) connect(ctx context.Context, i int, token string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", a.addr)
	if err != nil {
		return err
	}
	a.seats[i].conn = conn
	if _, err := conn.Write(placekit.Get(a.addr, "/api/v1/status/events", token)); err != nil {
		return err
	}
	br := bufio.NewReaderSize(conn, 2<<10)
	if err := conn.SetReadDeadline(time.Now().Add(pushWithin)); err != nil {
		return err
	}
	first, err := br.ReadString('\n')
	if err != nil || !bytes.HasPrefix([]byte(first), []byte("HTTP/1.1 200")) {
		return fmt.Errorf("stream %d: %q: %w", i, first, err)
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	a.readers.Go(func() { a.read(i, br) })
	return nil
}

// read takes events until the connection ends.
func (a *audience) read(i int, br *bufio.Reader) {
	for {
		line, err := br.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			err = nil // a place stands at the beginning of the line
		}
		if err != nil {
			a.mu.Lock()
			a.seats[i].gone = err
			a.mu.Unlock()
			return
		}
		if !bytes.HasPrefix(line, []byte("data: ")) {
			continue
		}
		at := time.Now()
		a.events.Add(1)
		a.hear(i, placekit.PositionIn(line), at)
	}
}

func (a *audience) hear(i, position int, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := &a.seats[i]
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

// deaf opens a stream that nobody reads.
func deaf(ctx context.Context, addr, token string) (stop func(), err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(1) // the kernel's least
	}
	if _, err := conn.Write(placekit.Get(addr, "/api/v1/status/events", token)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return func() { _ = conn.Close() }, nil
}
