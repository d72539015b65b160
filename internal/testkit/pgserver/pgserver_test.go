//go:build unix

package pgserver

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// The helper process of TestServerDiesWithItsProcess: this test binary, run again with this variable set.
const helperVariable = "PGSERVER_TEST_HELPER"

func TestMain(m *testing.M) {
	if os.Getenv(helperVariable) != "" {
		s, err := Start(context.Background(), Options{})
		if err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Stdout.WriteString(s.dir + " " + s.URL + "\n")
		select {} // until killed
	}
	os.Exit(m.Run())
}

// TestServer walks one server through its life: starting one costs about a second, so the parts share it.
func TestServer(t *testing.T) {
	ctx := t.Context()
	s, err := Start(ctx, Options{Settings: map[string]string{"work_mem": "5MB"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the directory is still there after Stop: %v", err)
		}
		if err := s.Stop(); err != nil {
			t.Errorf("stopping twice: %v", err)
		}
	})

	t.Run("home", func(t *testing.T) {
		h, err := CreateHome(ctx, s.URL)
		if err != nil {
			t.Fatal(err)
		}
		// As a hub does: a group, a login in it, and a database that both may enter.
		for _, q := range []string{
			`CREATE ROLE kha_owner`, `GRANT kha_owner TO CURRENT_USER`, `CREATE ROLE kha_x_r LOGIN`, `GRANT kha_owner TO kha_x_r`,
			`CREATE DATABASE kha_x`, `GRANT CONNECT ON DATABASE kha_x TO kha_x_r`,
		} {
			if err := execute(ctx, h.URL, q); err != nil {
				t.Fatalf("%s: %v", q, err)
			}
		}
		if err := execute(ctx, h.URL, `ALTER SYSTEM SET work_mem = '1MB'`); err == nil {
			t.Error("the role is a superuser")
		}
		if err := h.Drop(ctx); err != nil {
			t.Error(err)
		}
		if left := one[int64](t, s.URL, `SELECT (SELECT count(*) FROM pg_roles WHERE rolname ~ 'kha|`+h.Name+`') + (SELECT count(*) FROM pg_database WHERE datname ~ 'kha|`+h.Name+`')`); left != 0 {
			t.Errorf("%d things are left", left)
		}
		if err := h.Drop(ctx); err != nil {
			t.Errorf("dropping twice: %v", err)
		}
	})

	t.Run("settings", func(t *testing.T) {
		for name, want := range map[string]string{"work_mem": "5MB", "fsync": "off", "server_encoding": "UTF8", "TimeZone": "UTC"} {
			if got := one[string](t, s.URL, "SHOW "+name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	})
	t.Run("a wrong password is refused", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), strings.Replace(s.URL, "postgres:", "postgres:wrong", 2))
		if err == nil {
			_ = conn.Close(t.Context())
			t.Error("the server takes any password, so no test of roles on it means anything")
		}
	})
	t.Run("data outlives a crash", func(t *testing.T) {
		for i, how := range []Signal{Fast, Immediate, Crash} {
			// The checkpoint, since without fsync a crash may lose what came after the last one.
			if err := execute(t.Context(), s.URL, "CREATE TABLE IF NOT EXISTS kept (n int); INSERT INTO kept VALUES (1)"); err != nil {
				t.Fatal(err)
			}
			if err := execute(t.Context(), s.URL, "CHECKPOINT"); err != nil {
				t.Fatal(err)
			}
			if err := s.Restart(t.Context(), how); err != nil {
				t.Fatalf("%s: %v", how, err)
			}
			if got := one[int](t, s.URL, "SELECT count(*) FROM kept"); got != i+1 {
				t.Errorf("%s: %d rows, want %d", how, got, i+1)
			}
		}
	})
	t.Run("a halted server is gone", func(t *testing.T) {
		if err := s.Halt(Immediate); err != nil {
			t.Fatal(err)
		}
		if conn, err := pgx.Connect(t.Context(), s.URL); err == nil {
			_ = conn.Close(t.Context())
			t.Error("a halted server answers")
		}
		if err := s.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a port that somebody has taken", func(t *testing.T) {
		if err := s.Halt(Immediate); err != nil {
			t.Fatal(err)
		}
		thief, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.start(ctx); err == nil || !strings.Contains(err.Error(), portTaken) {
			t.Errorf("a new server has to be told, to take another: %v", err)
		}
		if err := s.Halt(Crash); err != nil {
			t.Error(err)
		}
		if err := thief.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Resume(ctx); err != nil {
			t.Fatalf("with its old port free again: %v", err)
		}
	})
	t.Run("template", func(t *testing.T) { testTemplate(t, s) })
	t.Run("sweep", func(t *testing.T) {
		for _, name := range []string{"kitshub_test_s000_old", "kitshub_tpl_s000_old", "somebody_elses"} {
			if err := execute(t.Context(), s.URL, "CREATE DATABASE "+name); err != nil {
				t.Fatal(err)
			}
		}
		if err := Sweep(t.Context(), s.URL); err != nil {
			t.Fatal(err)
		}
		if got := one[string](t, s.URL, "SELECT string_agg(datname, ' ') FROM pg_database WHERE datname LIKE '%s000%' OR datname LIKE 'some%'"); got != "somebody_elses" {
			t.Errorf("left after the sweep: %q", got)
		}
	})
}

func testTemplate(t *testing.T, s *Server) {
	ctx := t.Context()
	runs := 0
	var lingering *pgx.Conn
	migrate := func(u string) error {
		runs++
		conn, err := pgx.Connect(ctx, u)
		if err != nil {
			return err
		}
		lingering = conn // never closed by us: a pool's connections end a little after Close returns
		_, err = conn.Exec(ctx, "CREATE TABLE thing (name text); INSERT INTO thing VALUES ('from the template')")
		return err
	}
	boom := errors.New("boom")
	if _, err := Template(ctx, s.URL, "k", func(string) error { return boom }); !errors.Is(err, boom) {
		t.Fatalf("a failing migration gave %v", err)
	}
	var names []string
	for range 2 {
		name, err := Template(ctx, s.URL, "k", migrate)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if runs != 1 || names[0] != names[1] {
		t.Errorf("migrated %d times into %v, want once into one", runs, names)
	}
	_ = lingering.Close(ctx)
	for range 3 {
		began := time.Now()
		db, err := CreateDatabase(ctx, s.URL, names[0])
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("a copy in %v", time.Since(began))
		if got := one[string](t, db.URL, "SELECT name FROM thing"); got != "from the template" {
			t.Errorf("the copy holds %q", got)
		}
		if err := db.Drop(ctx); err != nil {
			t.Error(err)
		}
	}
}

// TestServerDiesWithItsProcess kills the process that started a server and sees the server and its directory go.
func TestServerDiesWithItsProcess(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), helperVariable+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	dir, u, _ := strings.Cut(strings.TrimSpace(line), " ")
	one[int](t, u, "SELECT 1")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			break
		}
		select {
		case <-deadline.C:
			t.Fatalf("%s is still there", dir)
		case <-tick.C:
		}
	}
	if conn, err := pgx.Connect(t.Context(), u); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the server survived the process that started it")
	}
}

func one[T any](t *testing.T, u, sql string) T {
	t.Helper()
	var got T
	conn, err := pgx.Connect(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if err := conn.QueryRow(t.Context(), sql).Scan(&got); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return got
}
