//go:build unix

package placekit

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// bareVariable makes this program the bare server instead of what it else is.
const bareVariable = "KITSHUB_PROOF_BARE"

// Answer is what the bare server says to everybody.
type Answer struct {
	Header http.Header
	Body   []byte
}

// Bare is a net/http server that does nothing but write: what any hub in Go must pay at least.
type Bare struct {
	Addr string
	PID  int
	cmd  *exec.Cmd
	in   io.Closer
}

// StartBare runs this very program again as the bare server. The program's main (or TestMain) must begin with [ServeIfBare].
func StartBare(ctx context.Context, a Answer) (*Bare, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), bareVariable+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	b := &Bare{cmd: cmd, in: in, PID: cmd.Process.Pid}
	err = json.NewEncoder(in).Encode(a)
	if err == nil {
		b.Addr, err = bufio.NewReader(out).ReadString('\n')
		b.Addr = strings.TrimSpace(b.Addr)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the bare server: %w", err), b.Stop())
	}
	return b, nil
}

// Stop ends it.
func (b *Bare) Stop() error { return errors.Join(b.in.Close(), b.cmd.Wait()) }

// ServeIfBare turns this process into the bare server, until its standard input ends, if it was started as one; then it gives true.
func ServeIfBare() bool {
	if os.Getenv(bareVariable) == "" {
		return false
	}
	if err := serveBare(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "the bare server:", err) // the parent notices that no address comes
	}
	return true
}

func serveBare(in io.Reader, out io.Writer) error {
	var a Answer
	dec := json.NewDecoder(in)
	if err := dec.Decode(&a); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // for the whole life of the process
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/status", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		for name, values := range a.Header {
			h[name] = values
		}
		_, _ = w.Write(a.Body) // who has left needs no answer
	})
	s := &streams{body: a.Body}
	mux.HandleFunc("GET /api/v1/status/events", s.serve)
	mux.HandleFunc("POST /fire", s.fire)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() {
		_, _ = io.Copy(io.Discard, io.MultiReader(dec.Buffered(), in)) // until whoever started this has gone
		_ = srv.Close()
	}()
	if _, err := fmt.Fprintln(out, l.Addr()); err != nil {
		return err
	}
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// streams are open event streams; each change sends each of them a document of its own.
type streams struct {
	body []byte
	mu   sync.Mutex
	open []chan int
}

func (s *streams) serve(w http.ResponseWriter, r *http.Request) {
	ch := make(chan int, 1)
	s.mu.Lock()
	me := len(s.open)
	s.open = append(s.open, ch)
	s.mu.Unlock()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	rc := http.NewResponseController(w)
	for change := 0; ; {
		_, err := fmt.Fprintf(w, "id: %d-%d\nevent: status\ndata: {\"position\":%d,\"rest\":%s}\n\n", me, change, change, s.body)
		if err != nil || rc.Flush() != nil {
			return
		}
		select {
		case change = <-ch:
		case <-r.Context().Done():
			return
		}
	}
}

// fire is one change to all, and answers with when it began, in microseconds since 1970.
func (s *streams) fire(w http.ResponseWriter, r *http.Request) {
	change, err := strconv.Atoi(r.URL.Query().Get("change"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	begun := time.Now().UnixMicro()
	s.mu.Lock()
	for _, ch := range s.open {
		select {
		case ch <- change:
		default:
		}
	}
	s.mu.Unlock()
	fmt.Fprint(w, begun)
}
