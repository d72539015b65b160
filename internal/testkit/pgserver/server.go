//go:build unix

// Package pgserver starts throwaway Postgres servers on a free loopback port, for tests and for programs that show
// figures (cmd/proof). A server lives in a temporary directory and dies with the process that started it, even when
// that process is killed; see supervise.sh for how. It does not import testing and keeps no goroutine, so leak
// checks stay quiet while one runs.
//
// Passwords are really checked (scram-sha-256), unlike in many test set-ups, so a test that shows that a role is
// refused shows something.
package pgserver

import (
	"bufio"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed supervise.sh
var superviseScript string

// startTimeout is generous because a loaded two-core machine has been seen to take ten seconds for initdb.
const startTimeout = 90 * time.Second

// Options say what kind of server is wanted. The zero value is right for tests.
type Options struct {
	// Durable keeps fsync, synchronous_commit and full_page_writes on, as a production server has them. Without it
	// commits do not wait for the disk, which no figure about crashes or speed may rest on.
	Durable bool
	// BinDir holds initdb and postgres; empty means: found on PATH or where Debian puts them, else installed.
	BinDir string
	// NoInstall leaves the machine as it is: missing programs are an error that says what to install.
	NoInstall bool
	// Settings are further server settings, by name, stronger than the ones chosen here.
	Settings map[string]string
	// Logf hears about slow steps (an installation); nil means nobody does.
	Logf func(format string, args ...any)
}

// Signal says how a server is stopped.
type Signal string

// The three ways to stop a server.
const (
	Fast      Signal = "INT"  // sessions are ended, a checkpoint is written
	Immediate Signal = "QUIT" // as a crash, but in order: no checkpoint, the next start recovers from the log
	Crash     Signal = "KILL" // kill -9 of the server's parent process
)

// Server is a running Postgres. Its methods are for one goroutine at a time.
type Server struct {
	// URL reaches the maintenance database as the superuser. It stays the same over Restart.
	URL string

	dir   string
	port  int
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	ended bool
}

// Start starts a server and waits until it accepts connections.
func Start(ctx context.Context, opts Options) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	bin, err := binDir(ctx, opts)
	if err != nil {
		return nil, err
	}
	who, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := makeDir(who, opts)
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	if err := s.supervise(who, bin, opts); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	password := rand.Text()
	if err := s.create(who, password); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	if err := s.startOnFreePort(ctx, password); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// Stop ends the server for good and removes its directory. Stopping twice is harmless.
func (s *Server) Stop() error {
	if s.ended {
		return nil
	}
	s.ended = true
	_ = s.in.Close()
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("stop Postgres: %w", err)
	}
	return nil
}

// Halt stops the server but keeps its data and its port for Resume: the database is gone, as in an outage.
func (s *Server) Halt(how Signal) error { return s.tell("stop " + string(how)) }

// Resume starts a halted server again on its old port. Meanwhile somebody may use it, to whom it looked free; then he is waited for.
func (s *Server) Resume(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return s.start(ctx, oldChildren, portTaken)
}

// What the server says in its log when it cannot start for a reason that passes.
const (
	oldChildren = "pre-existing shared memory block" // after a crash the last of them need a moment to notice and go
	portTaken   = "Address already in use"
)

// start starts the server on its port, again and again while it does not start for one of these reasons.
func (s *Server) start(ctx context.Context, passing ...string) error {
	for {
		if err := s.tell("start " + strconv.Itoa(s.port)); err != nil {
			return err
		}
		err := s.ready(ctx)
		log := s.Log()
		if err == nil || !slices.ContainsFunc(passing, func(reason string) bool { return strings.Contains(log, reason) }) {
			return err
		}
		if err := s.Halt(Crash); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Restart is Halt and Resume.
func (s *Server) Restart(ctx context.Context, how Signal) error {
	if err := s.Halt(how); err != nil {
		return err
	}
	return s.Resume(ctx)
}

// Log gives the end of the server's log since its last start.
func (s *Server) Log() string {
	b, err := os.ReadFile(filepath.Join(s.dir, "server.log"))
	if err != nil {
		return ""
	}
	const most = 4000
	if len(b) > most {
		b = b[len(b)-most:]
	}
	return strings.TrimSpace(string(b))
}

// supervise starts the shell that runs the server and cleans up after us.
func (s *Server) supervise(who *syscall.Credential, bin string, opts Options) error {
	args := append([]string{"-c", superviseScript, "supervise-postgres", s.dir, bin}, settings(opts)...)
	// No context: the supervisor's life ends with its standard input, which is the point of it.
	s.cmd = exec.Command("/bin/sh", args...) //nolint:gosec,noctx // the script is our own
	s.cmd.Dir = s.dir
	// A session of its own: Ctrl-C on the terminal must reach us, not the server under our feet.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: who}
	in, err := s.cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	s.in, s.out = in, bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	return nil
}

// tell gives the supervisor one command and waits for its answer.
func (s *Server) tell(command string) error {
	if s.ended {
		return fmt.Errorf("postgres: %s: the server was stopped for good", command)
	}
	if _, err := io.WriteString(s.in, command+"\n"); err != nil {
		return fmt.Errorf("postgres: %s: %w", command, err)
	}
	answer, err := s.out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("postgres: %s: the supervisor is gone: %w", command, err)
	}
	if answer != "ok\n" {
		return fmt.Errorf("postgres: %s: %s", command, strings.TrimSpace(answer))
	}
	return nil
}

// create makes the empty cluster.
func (s *Server) create(who *syscall.Credential, password string) error {
	file := filepath.Join(s.dir, "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		return fmt.Errorf("password file: %w", err)
	}
	if who != nil {
		if err := os.Chown(file, int(who.Uid), int(who.Gid)); err != nil {
			return fmt.Errorf("password file: %w", err)
		}
	}
	// C.UTF-8 knows letters beyond ASCII and sorts by code point; systems without it (old macOS) have C.
	if err := s.tell("init C.UTF-8"); err == nil {
		return nil
	}
	if err := s.tell("init C"); err != nil {
		said, _ := os.ReadFile(filepath.Join(s.dir, "initdb.log"))
		return fmt.Errorf("%w\n%s", err, said)
	}
	return nil
}

// startOnFreePort tries a few ports: between our asking for a free one and the server's taking it, another process
// may have been quicker.
func (s *Server) startOnFreePort(ctx context.Context, password string) error {
	var last error
	for range 5 {
		port, err := freePort()
		if err != nil {
			return err
		}
		s.port = port
		u := url.URL{
			Scheme: "postgres", User: url.UserPassword("postgres", password), Path: "/postgres",
			Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), RawQuery: "sslmode=disable",
		}
		s.URL = u.String()
		if last = s.start(ctx); last == nil {
			return nil
		}
		if err := s.Halt(Immediate); err != nil {
			return errors.Join(last, err)
		}
	}
	return last
}

// ready waits until the server says in its pid file that it is ready, then logs in once.
func (s *Server) ready(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !s.saysReady() {
		if log := s.Log(); gaveUp(log) {
			return fmt.Errorf("postgres did not start:\n%s", log)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("postgres did not start in time: %w\n%s", ctx.Err(), s.Log())
		case <-tick.C:
		}
	}
	conn, err := pgx.Connect(ctx, s.URL)
	if err != nil {
		return fmt.Errorf("first connection to Postgres: %w\n%s", err, s.Log())
	}
	return conn.Close(ctx)
}

// gaveUp looks for the reason why a server did not start.
func gaveUp(log string) bool {
	for line := range strings.Lines(log) {
		if strings.Contains(line, "postgres: error") || strings.Contains(line, "FATAL:") && !knocking.MatchString(line) {
			return true
		}
	}
	return false
}

// knocking is what others hear who want to use the server while it starts or recovers, and the last word of sessions whose server crashed.
var knocking = regexp.MustCompile(`FATAL:  (the database system is |terminating connection )`)

// saysReady reads the status line of postmaster.pid. A file that a crashed server left behind may say "ready" too, so
// the log, which begins anew with each start, has to agree.
func (s *Server) saysReady() bool {
	b, err := os.ReadFile(filepath.Join(s.dir, "data", "postmaster.pid"))
	if err != nil {
		return false
	}
	const statusLine = 7 // miscadmin.h, LOCK_FILE_LINE_PM_STATUS, counted from 0
	lines := strings.Split(string(b), "\n")
	return len(lines) > statusLine && strings.TrimSpace(lines[statusLine]) == "ready" &&
		strings.Contains(s.Log(), "ready to accept connections")
}
