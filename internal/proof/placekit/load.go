//go:build unix

package placekit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Load asks one server the same kind of question over keep-alive connections, each waiting for its answer before it asks again. It speaks
// HTTP itself and as little of it as suffices, so that on a small machine the servers and not the client are what is measured.
type Load struct {
	Addr  string
	Conns int
	Seed  int64
	// Ask gives the number of the next question, of which Text is the whole request; a negative one ends the connection.
	Ask  func(r *rand.Rand) int
	Text func(i int) []byte
	// Check judges an answer; sampled is one in CheckEvery of them.
	Check      func(i int, body []byte)
	CheckEvery int
}

// Measured is what a load found.
type Measured struct {
	Answers  int
	PerS     float64
	P50, P99 time.Duration
}

// answerWithin bounds one answer; a server that takes longer has failed.
const answerWithin = 30 * time.Second

// Run asks for so long, on each connection at least once.
func (l *Load) Run(ctx context.Context, d time.Duration) (Measured, error) {
	var wg sync.WaitGroup
	took := make([][]time.Duration, l.Conns)
	errs := make([]error, l.Conns)
	begun := time.Now()
	for c := range l.Conns {
		wg.Go(func() {
			took[c], errs[c] = l.connection(ctx, c, begun.Add(d))
		})
	}
	wg.Wait()
	elapsed := time.Since(begun)
	all := slices.Concat(took...)
	slices.Sort(all)
	return Measured{len(all), float64(len(all)) / elapsed.Seconds(), Percentile(all, 50), Percentile(all, 99)}, errors.Join(errs...)
}

// Percentile of sorted numbers, by the nearest rank; 0 of none.
func Percentile[T any](sorted []T, p int) (x T) {
	if len(sorted) == 0 {
		return x
	}
	return sorted[min(len(sorted)-1, (len(sorted)*p+99)/100-1)]
}

func (l *Load) connection(ctx context.Context, c int, until time.Time) (took []time.Duration, err error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", l.Addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	r := rand.New(rand.NewPCG(uint64(l.Seed), uint64(c))) //nolint:gosec // the same seed shall give the same questions
	br := bufio.NewReaderSize(conn, 16<<10)
	took = make([]time.Duration, 0, 1<<12)
	for n := 0; ; n++ {
		begun := time.Now()
		if ctx.Err() != nil || n > 0 && begun.After(until) {
			return took, ctx.Err()
		}
		if err := conn.SetDeadline(begun.Add(answerWithin)); err != nil {
			return took, err
		}
		i := l.Ask(r)
		if i < 0 {
			return took, nil
		}
		if _, err := conn.Write(l.Text(i)); err != nil {
			return took, err
		}
		body, err := readAnswer(br)
		if err != nil {
			return took, err
		}
		took = append(took, time.Since(begun))
		if l.CheckEvery > 0 && n%l.CheckEvery == 0 {
			l.Check(i, body)
		}
		if _, err := br.Discard(len(body)); err != nil {
			return took, err
		}
	}
}

// readAnswer reads a head and gives the body that stands in the buffer after it.
func readAnswer(br *bufio.Reader) (body []byte, err error) {
	length := -1
	for first := true; ; first = false {
		line, err := br.ReadSlice('\n')
		if err != nil {
			return nil, fmt.Errorf("an answer's head: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")):
			return nil, fmt.Errorf("an answer of %q", line)
		case len(line) == 0:
			if length < 0 {
				return nil, errors.New("an answer without a length")
			}
			if body, err = br.Peek(length); err != nil {
				return nil, fmt.Errorf("an answer's body of %d bytes: %w", length, err)
			}
			return body, nil
		case bytes.HasPrefix(line, []byte("Content-Length: ")):
			if length, err = strconv.Atoi(string(line[len("Content-Length: "):])); err != nil {
				return nil, err
			}
		}
	}
}

// Get is the text of a GET with a token.
func Get(addr, path, token string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", path, addr, token)
}

// PositionIn finds the position in a status document; -1 for none.
func PositionIn(body []byte) int {
	_, after, ok := bytes.Cut(body, []byte(`"position":`))
	if !ok {
		return -1
	}
	n, digits := 0, 0
	for _, c := range after {
		if c < '0' || c > '9' {
			break
		}
		n, digits = 10*n+int(c-'0'), digits+1
	}
	if digits == 0 {
		return -1
	}
	return n
}
