package drive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options say how a hub is run.
type Options struct {
	Binary  string   // the kitshub to run
	DataDir string   // its DATA_DIR
	Listen  string   // its LISTEN_ADDR; FreeAddr gives one
	Env     []string // further settings, NAME=value
	Log     io.Writer
}

// How long a hub may take until it is ready, and to end after SIGTERM; beyond that something is wrong.
const (
	readyWithin = 2 * time.Minute
	stopWithin  = time.Minute
	readyTick   = 3 * time.Millisecond
	keptLog     = 8 << 10
)

// Hub is one run of `kitshub serve`.
type Hub struct {
	URL     string
	Started time.Time
	Ready   time.Duration // from the start of the process to the first /readyz that says ok

	opts Options
	cmd  *exec.Cmd
	log  *tail
	done chan struct{}
	err  error // of Wait; read after done
}

// Start runs a hub and waits until it is ready. Where it does not get there, its last words are in the error.
func Start(ctx context.Context, o Options) (*Hub, error) {
	h := &Hub{URL: "http://" + o.Listen, opts: o, log: &tail{also: o.Log}, done: make(chan struct{})}
	// No context for the process: it must be ended by Stop or Kill, whichever the caller means.
	h.cmd = exec.Command(o.Binary, "serve") //nolint:gosec,noctx // running it is the point
	h.cmd.Env = o.Environ()
	h.cmd.Stdout, h.cmd.Stderr = h.log, h.log
	// A group of its own: Ctrl-C on the terminal must reach the caller, who then stops the hub in order.
	h.cmd.SysProcAttr = procAttr()
	h.Started = time.Now()
	if err := h.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s serve: %w", o.Binary, err)
	}
	go func() {
		h.err = h.cmd.Wait()
		close(h.done)
	}()
	if err := h.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, h.Kill())
	}
	return h, nil
}

// PatientConnect lets a hub connect to its own Postgres on a machine that does much else at once, where the default is too short now and then.
const PatientConnect = "DATABASE_CONNECT_TIMEOUT=1m"

// Environ is the environment of a hub of one's own: nothing of the caller's but what every program needs.
func (o Options) Environ() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LANG", "TZ", "SystemRoot"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	env = append(env, "APP_ENV=development", "DATA_DIR="+o.DataDir, "LISTEN_ADDR="+o.Listen, "RATE_LIMITS=off", "LOG_LEVEL=warn", PatientConnect)
	return append(env, o.Env...)
}

func (h *Hub) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	tick := time.NewTicker(readyTick)
	defer tick.Stop()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		if h.isReady(ctx, client) {
			h.Ready = time.Since(h.Started)
			return nil
		}
		select {
		case <-h.done:
			return fmt.Errorf("the hub ended before it was ready (%w); its last words:\n%s", h.err, h.log)
		case <-ctx.Done():
			return fmt.Errorf("the hub was not ready in time (%w); its last words:\n%s", ctx.Err(), h.log)
		case <-tick.C:
		}
	}
}

func (h *Hub) isReady(ctx context.Context, client *http.Client) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL+"/readyz", nil)
	if err != nil {
		return false
	}
	res, err := client.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode == http.StatusOK
}

// Kill ends the hub with kill -9, as a crash would, and waits until it is gone.
func (h *Hub) Kill() error {
	err := h.cmd.Process.Kill()
	<-h.done
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Stop asks the hub to finish (SIGTERM); one that does not is killed, which is an error.
func (h *Hub) Stop() error {
	if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	timer := time.NewTimer(stopWithin)
	defer timer.Stop()
	select {
	case <-h.done:
		if h.err != nil {
			return fmt.Errorf("the hub did not end in order (%w); its last words:\n%s", h.err, h.log)
		}
		return nil
	case <-timer.C:
		return errors.Join(fmt.Errorf("the hub did not stop within %s of SIGTERM", stopWithin), h.Kill())
	}
}

// Done is closed when the process has ended.
func (h *Hub) Done() <-chan struct{} { return h.done }

// Log gives the hub's last words.
func (h *Hub) Log() string { return h.log.String() }

// PID is the process, for those who measure it.
func (h *Hub) PID() int { return h.cmd.Process.Pid }

// Command runs another command of the same binary on the same data, with text on its standard input, and gives its standard output.
func (o Options) Command(ctx context.Context, stdin string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, o.Binary, args...) //nolint:gosec // running it is the point
	cmd.Env = o.Environ()
	cmd.Stdin = strings.NewReader(stdin)
	var talk bytes.Buffer
	cmd.Stderr = &talk
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s %s: %w\n%s", filepath.Base(o.Binary), strings.Join(args, " "), err, talk.String())
	}
	return out, nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	buf  []byte
	also io.Writer
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if len(t.buf) > 2*keptLog {
		t.buf = append([]byte(nil), t.buf[len(t.buf)-keptLog:]...)
	}
	if t.also != nil {
		return t.also.Write(p)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
