//go:build unix

package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/inspect"
	"github.com/kitshub/kitshub/internal/testkit/pgserver"
)

// commands are what the scripts may say beyond testscript's own:
//
//	hub start [NAME=VALUE…]        run `kitshub serve` and wait until it is ready
//	hub stop | hub kill            SIGTERM, which must end well | kill -9
//	http METHOD PATH [-H 'Name: value']… [-as TOKEN] [-d BODY | -f FILE] [=> STATUS [CODE]]
//	                               call the hub; the answer goes to stdout and is kept for json. A refusal must be a whole problem document
//	json PATH VALUE                the last answer has VALUE at PATH (data.request.status, errors.0.code, data.length for a length)
//	json PATH -> NAME              … and keep it as a variable
//	! json PATH                    nothing is there
//	waitfor TOKEN STATUS           follow the customer's event stream until the request stands there; not beyond a failure that the hub leaves to people
//	sql URL QUERY                  ask a tenant's database; rows go to stdout
//	database NAME                  make an empty Postgres database, as an operator brings one; NAME is its address, with a password to look for
//	exits CODE PROGRAM ARG…        run a program that must end with this code
//
// $ENGINE is that of the hub's database and of its tenants'; [sqlite] and [postgres] begin what only one of them can do.
var commands = map[string]func(*testscript.TestScript, bool, []string){
	"hub": hubCommand, "http": httpCommand, "json": jsonCommand, "waitfor": waitforCommand, "sql": sqlCommand, "exits": exitsCommand,
	"database": databaseCommand,
}

// scriptPatience is how long one command may take: much longer than it should, on a machine that does other things.
const scriptPatience = 60 * time.Second

type (
	sessionKey struct{}
	serverKey  struct{} // func() string: the address of a Postgres server
)

// session is what the commands of one script share.
type session struct {
	client *drive.Client // keeps the operator's cookie
	hub    *drive.Hub
	last   *drive.Answer
}

func newSession(base string) *session { return &session{client: drive.NewClient(base, 4)} }

func (s *session) close() {
	if s.hub != nil {
		_ = s.hub.Kill() // the script is over, well or not
	}
	s.client.Close()
}

func sessionOf(ts *testscript.TestScript) *session {
	return ts.Value(sessionKey{}).(*session) //nolint:forcetypeassert // only hubEnv puts it there
}

func hubCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: hub start [NAME=VALUE…] | stop | kill")
	}
	s := sessionOf(ts)
	switch {
	case args[0] == "start" && s.hub == nil:
		binary, err := exec.LookPath("kitshub")
		ts.Check(err)
		log, err := os.OpenFile(ts.MkAbs("hub.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		ts.Check(err)
		ts.Defer(func() { _ = log.Close() })
		env := args[1:]
		if u := ts.Getenv("DATABASE_URL"); u != "" {
			env = append([]string{"DATABASE_URL=" + u}, env...)
		}
		if dir := ts.Getenv("CATALOG_DIR"); dir != "" {
			env = append([]string{"CATALOG_DIR=" + dir}, env...)
		}
		s.hub, err = drive.Start(context.Background(), drive.Options{
			Binary: binary, DataDir: ts.Getenv("DATA_DIR"), Listen: ts.Getenv("LISTEN_ADDR"), Env: env, Log: log,
		})
		ts.Check(err)
	case args[0] == "stop" && s.hub != nil:
		ts.Check(s.hub.Stop())
		s.hub = nil
	case args[0] == "kill" && s.hub != nil:
		ts.Check(s.hub.Kill())
		s.hub = nil
	default:
		ts.Fatalf("hub %s: the hub is running (%t)", args[0], s.hub != nil)
	}
}

// call is a parsed http command.
type call struct {
	method, path string
	headers      []drive.Header
	body         []byte
	status       int
	code         string
}

func parseCall(ts *testscript.TestScript, args []string) call {
	c := call{}
	if i := slices.Index(args, "=>"); i >= 0 && len(args) > i+1 {
		status, err := strconv.Atoi(args[i+1])
		ts.Check(err)
		c.status = status
		if len(args) > i+2 {
			c.code = args[i+2]
		}
		args = args[:i]
	}
	if len(args) < 2 {
		ts.Fatalf("usage: http METHOD PATH [-H 'Name: value']… [-as TOKEN] [-d BODY | -f FILE] [=> STATUS [CODE]]")
	}
	c.method, c.path = args[0], args[1]
	for rest := args[2:]; len(rest) > 0; rest = rest[2:] {
		if len(rest) < 2 {
			ts.Fatalf("%s needs a value", rest[0])
		}
		switch rest[0] {
		case "-H":
			name, value, _ := strings.Cut(rest[1], ":")
			c.headers = append(c.headers, drive.Header{Name: name, Value: strings.TrimSpace(value)})
		case "-as":
			c.headers = append(c.headers, drive.Bearer(rest[1]))
		case "-d":
			c.body = []byte(rest[1])
		case "-f":
			c.body = []byte(ts.ReadFile(rest[1]))
		default:
			ts.Fatalf("http knows no %s", rest[0])
		}
	}
	return c
}

func httpCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("! http: say what is expected by => STATUS CODE")
	}
	s, c := sessionOf(ts), parseCall(ts, args)
	ctx, cancel := context.WithTimeout(context.Background(), scriptPatience)
	defer cancel()
	a, err := s.client.Raw(ctx, c.method, c.path, c.body, c.headers...)
	ts.Check(err)
	s.last = a
	var text bytes.Buffer
	fmt.Fprintf(&text, "HTTP %d\n", a.Status)
	ts.Check(a.Header.Write(&text))
	fmt.Fprintf(&text, "\n%s\n", a.Body)
	fmt.Fprint(ts.Stdout(), strings.ReplaceAll(text.String(), "\r", ""))
	if a.Status >= 400 {
		ts.Check(isProblem(a, c.method, c.path))
	}
	if c.status == 0 {
		return
	}
	code := ""
	if err := a.Into(nil); a.Status >= 400 {
		code = drive.CodeOf(err)
	}
	if a.Status != c.status || (c.code != "" && c.code != code) {
		ts.Fatalf("%s %s answered %d %s instead of %d %s:\n%s", c.method, c.path, a.Status, code, c.status, c.code, a.Body)
	}
}

// isProblem holds every refusal, of whatever call, to the contract's one form.
func isProblem(a *drive.Answer, method, path string) error {
	if method == http.MethodHead || !strings.HasPrefix(path, "/api/") {
		return nil
	}
	var doc struct {
		Type, Title, Detail, Instance, Error, Code string
		Status                                     int
		Success                                    *bool
		RequestID                                  string `json:"request_id"`
	}
	if err := json.Unmarshal(a.Body, &doc); err != nil {
		return fmt.Errorf("a refusal that is no JSON: %w\n%s", err, a.Body)
	}
	for name, bad := range map[string]bool{
		"Content-Type": !strings.HasPrefix(a.Header.Get("Content-Type"), "application/problem+json"),
		"type":         doc.Type == "", "title": doc.Title == "", "detail": doc.Detail == "", "instance": doc.Instance == "",
		"status": doc.Status != a.Status, "success": doc.Success == nil || *doc.Success, "error": doc.Error != doc.Detail, "code": doc.Code == "",
		// A replay is the first answer to the byte, with the first call's id.
		"request_id": doc.RequestID == "" || (doc.RequestID != a.Header.Get("X-Request-Id") && a.Header.Get("Idempotency-Replayed") == ""),
	} {
		if bad {
			return fmt.Errorf("a refusal whose %s is not as the contract says:\n%v\n%s", name, a.Header, a.Body)
		}
	}
	return nil
}

func jsonCommand(ts *testscript.TestScript, neg bool, args []string) {
	s := sessionOf(ts)
	if s.last == nil || len(args) < 1 {
		ts.Fatalf("usage, after an http command: [!] json PATH [VALUE | -> NAME]")
	}
	var doc any
	d := json.NewDecoder(bytes.NewReader(s.last.Body))
	d.UseNumber()
	ts.Check(d.Decode(&doc))
	got, found := walk(doc, strings.Split(args[0], "."))
	switch {
	case neg && found && got != "null":
		ts.Fatalf("%s is there: %s", args[0], got)
	case neg:
	case !found:
		ts.Fatalf("there is no %s in\n%s", args[0], s.last.Body)
	case len(args) == 3 && args[1] == "->":
		ts.Setenv(args[2], got)
	case len(args) == 2 && got != args[1]:
		ts.Fatalf("%s is %s instead of %s", args[0], got, args[1])
	}
}

// walk follows a path of names and indexes; length is that of a list.
func walk(v any, path []string) (text string, found bool) {
	if len(path) == 0 {
		if s, ok := v.(string); ok {
			return s, true
		}
		b, err := json.Marshal(v)
		return string(b), err == nil
	}
	switch x := v.(type) {
	case map[string]any:
		next, ok := x[path[0]]
		if !ok {
			return "", false
		}
		return walk(next, path[1:])
	case []any:
		if path[0] == "length" {
			return strconv.Itoa(len(x)), true
		}
		i, err := strconv.Atoi(path[0])
		if err != nil || i < 0 || i >= len(x) {
			return "", false
		}
		return walk(x[i], path[1:])
	}
	return "", false
}

func waitforCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitfor TOKEN STATUS")
	}
	ctx, cancel := context.WithTimeout(context.Background(), scriptPatience)
	defer cancel()
	s, err := sessionOf(ts).client.Await(ctx, args[0], func(s *drive.Status) bool { return s.Status == args[1] || s.Ended() })
	ts.Check(err)
	if s.Status != args[1] {
		ts.Fatalf("the request ended %s (%s) instead of %s", s.Status, s.Reason, args[1])
	}
}

func sqlCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sql URL QUERY")
	}
	place, err := (&drive.Connection{URL: args[0]}).Place()
	ts.Check(err)
	db, err := inspect.Open(place)
	ts.Check(err)
	lines, err := query(db, args[1])
	ts.Check(errors.Join(err, db.Close()))
	fmt.Fprint(ts.Stdout(), lines)
}

// scriptSecret is the password of what `database` makes.
const scriptSecret = "c4nary-of-scripts"

func databaseCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: database NAME")
	}
	server, ok := ts.Value(serverKey{}).(func() string)
	if !ok {
		ts.Fatalf("this script has no server")
	}
	super := server()
	db, err := pgserver.CreateDatabase(context.Background(), super, "")
	ts.Check(err)
	admin, err := sql.Open("pgx", super)
	ts.Check(err)
	role := "brings_" + strings.TrimPrefix(db.Name, "kitshub_test_")
	_, err = admin.Exec(fmt.Sprintf(`CREATE ROLE %[1]s LOGIN PASSWORD '%[2]s'; ALTER DATABASE %[3]s OWNER TO %[1]s`, role, scriptSecret, db.Name))
	ts.Check(err)
	ts.Defer(func() {
		err := db.Drop(context.Background())
		if err == nil {
			_, err = admin.Exec("DROP ROLE " + role)
		}
		if err = errors.Join(err, admin.Close()); err != nil {
			ts.Logf("%v", err)
		}
	})
	u, err := url.Parse(db.URL)
	ts.Check(err)
	u.User = url.UserPassword(role, scriptSecret)
	ts.Setenv(args[0], u.String())
}

func query(db *sql.DB, q string) (_ string, err error) {
	rows, err := db.QueryContext(context.Background(), q)
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for rows.Next() {
		values, at := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range values {
			at[i] = &values[i]
		}
		if err := rows.Scan(at...); err != nil {
			return "", err
		}
		for i, v := range values {
			if i > 0 {
				out.WriteByte('\t')
			}
			out.WriteString(v.String)
		}
		out.WriteByte('\n')
	}
	return out.String(), rows.Err()
}

func exitsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), scriptPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args[2:]...) //nolint:gosec // the script names it
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "DATA_DIR", "LISTEN_ADDR", "DATABASE_URL", "TENANT_DATABASE_URL", "CATALOG_DIR", "LOG_LEVEL", "APP_ENV", "ENCRYPTION_KEY"} {
		if v := ts.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.Env = append(cmd.Env, drive.PatientConnect)
	cmd.Env = append(cmd.Env, filepath.SplitList(ts.Getenv("WITH"))...) // further variables, NAME=value:NAME=value
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%v", err)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("%s ended with %d instead of %d", strings.Join(args[1:], " "), got, want)
	}
}
