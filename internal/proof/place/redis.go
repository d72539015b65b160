//go:build unix

package place

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/placekit"
	"github.com/kitshub/kitshub/internal/testkit/debian"
)

// errNoRedis means that the comparison with Redis cannot be made here.
var errNoRedis = errors.New("there is no Redis to compare with")

const (
	key        = "line"
	pipelined  = 100 // questions in one packet
	redisCrowd = 16  // connections
	redisReady = 20 * time.Second
	redisTick  = 10 * time.Millisecond
)

// redis is a throwaway server. Its protocol is spoken here: a client library could only make it slower.
type redis struct {
	addr string
	cmd  *exec.Cmd
	dir  string
	conn *respConn
}

// respConn is one connection.
type respConn struct {
	net.Conn
	r *bufio.Reader
	w *bufio.Writer
}

func findRedis() (string, bool) { return debian.Find([]string{"redis-server"}, []string{"/usr/sbin"}) }

// startRedis starts one on a free loopback port, installing Debian's where none is.
func startRedis(ctx context.Context, log io.Writer) (*redis, error) {
	path, ok := findRedis()
	if !ok {
		fmt.Fprintln(log, "installing Debian's redis-server, which is missing here")
		if err := debian.Install(ctx, "redis-server", func() bool { path, ok = findRedis(); return ok }); err != nil {
			return nil, fmt.Errorf("%w: %w", errNoRedis, err)
		}
	}
	addr, err := drive.FreeAddr()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "kitshub-redis-")
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", dir) //nolint:gosec // what was found
	s := &redis{addr: addr, cmd: cmd, dir: dir}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", errNoRedis, err), os.RemoveAll(dir))
	}
	if s.conn, err = s.await(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *redis) await(ctx context.Context) (*respConn, error) {
	ctx, cancel := context.WithTimeout(ctx, redisReady)
	defer cancel()
	tick := time.NewTicker(redisTick)
	defer tick.Stop()
	for {
		c, err := s.dial()
		if err == nil {
			return c, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("redis-server does not answer: %w", err)
		case <-tick.C:
		}
	}
}

func (s *redis) dial() (*respConn, error) {
	c, err := net.Dial("tcp", s.addr) //nolint:noctx // loopback answers at once or refuses
	if err != nil {
		return nil, err
	}
	return &respConn{c, bufio.NewReaderSize(c, 64<<10), bufio.NewWriterSize(c, 64<<10)}, nil
}

func (s *redis) stop() error {
	if s.conn != nil {
		_ = s.conn.Close()
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // it was killed, and says so
	return os.RemoveAll(s.dir)
}

// send puts a command into the buffer.
func (c *respConn) send(words ...string) {
	fmt.Fprintf(c.w, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(c.w, "$%d\r\n%s\r\n", len(word), word)
	}
}

// number reads an answer that is one.
func (c *respConn) number() (int, error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	text, ok := bytes.CutPrefix(bytes.TrimRight(line, "\r\n"), []byte(":"))
	if !ok {
		return 0, fmt.Errorf("redis answers %q", line)
	}
	return strconv.Atoi(string(text))
}

// numbers sends what is in the buffer and reads so many answers.
func (c *respConn) numbers(n int) ([]int, error) {
	if err := c.w.Flush(); err != nil {
		return nil, err
	}
	out := make([]int, n)
	for i := range out {
		var err error
		if out[i], err = c.number(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// classSize separates the classes in the score; a class above comes before. Times in microseconds are below 2^51 until 2041, so that the
// score is whole in a double. Equal scores are in the order of the members, as in the line.
const classSize = 1 << 51

func score(w placekit.Waiting) string {
	return strconv.FormatInt(int64(2-w.Priority)*classSize+w.At, 10)
}

func (s *redis) load(all []placekit.Waiting) error {
	for len(all) > 0 {
		n := min(1000, len(all))
		for _, w := range all[:n] {
			s.conn.send("ZADD", key, score(w), w.ID)
		}
		if _, err := s.conn.numbers(n); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

func (s *redis) replace(left, came map[string]placekit.Waiting) error {
	gone, in := 0, make([]placekit.Waiting, 0, len(came))
	for id := range left {
		s.conn.send("ZREM", key, id)
		if gone++; gone == 500 {
			if _, err := s.conn.numbers(gone); err != nil {
				return err
			}
			gone = 0
		}
	}
	if _, err := s.conn.numbers(gone); err != nil {
		return err
	}
	for _, w := range came {
		in = append(in, w)
	}
	return s.load(in)
}

func (s *redis) ranks(ids []string) ([]int, error) {
	for _, id := range ids {
		s.conn.send("ZRANK", key, id)
	}
	return s.conn.numbers(len(ids))
}

// rate asks for ranks on so many connections, so many questions in a packet, and gives how many a second were answered.
func (s *redis) rate(ids []string, d time.Duration, conns, atOnce int) (float64, error) {
	packets := make([][]byte, 0, len(ids)/atOnce)
	for at := 0; at+atOnce <= len(ids); at += atOnce {
		var b bytes.Buffer
		c := respConn{w: bufio.NewWriter(&b)}
		for _, id := range ids[at : at+atOnce] {
			c.send("ZRANK", key, id)
		}
		if err := c.w.Flush(); err != nil {
			return 0, err
		}
		packets = append(packets, b.Bytes())
	}
	var wg sync.WaitGroup
	counts, errs := make([]int, conns), make([]error, conns)
	begun := time.Now()
	for k := range conns {
		wg.Go(func() { counts[k], errs[k] = s.asking(packets, k, atOnce, begun.Add(d)) })
	}
	wg.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / time.Since(begun).Seconds(), errors.Join(errs...)
}

func (s *redis) asking(packets [][]byte, from, atOnce int, until time.Time) (n int, err error) {
	c, err := s.dial()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	for i := from; time.Now().Before(until); i++ {
		if _, err := c.Write(packets[i%len(packets)]); err != nil {
			return n, err
		}
		for range atOnce {
			if _, err := c.number(); err != nil {
				return n, err
			}
		}
		n += atOnce
	}
	return n, nil
}
