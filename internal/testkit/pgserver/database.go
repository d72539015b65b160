package pgserver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Names tell a sweep what it may drop: kitshub_test_<unix seconds in base 36>_<random>. Templates likewise.
const (
	testPrefix     = "kitshub_test_"
	templatePrefix = "kitshub_tpl_"
	// staleAfter is longer than any test run: what is older was left by a run that was killed.
	staleAfter = 12 * time.Hour
)

// Database is one database on a server, made to be thrown away.
type Database struct {
	URL  string
	Name string

	server string
}

// CreateDatabase makes an empty database with a random name, or a copy of the template when one is named. The
// template must have no open session; Template sees to that.
func CreateDatabase(ctx context.Context, serverURL, template string) (*Database, error) {
	if template == "" {
		template = "template0" // template1 may hold somebody's additions
	}
	name := testPrefix + strconv.FormatInt(time.Now().Unix(), 36) + "_" + strings.ToLower(rand.Text()[:12])
	if err := execute(ctx, serverURL, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(template)); err != nil {
		return nil, fmt.Errorf("create a database: %w", err)
	}
	u, err := WithDatabase(serverURL, name)
	if err != nil {
		return nil, err
	}
	return &Database{URL: u, Name: name, server: serverURL}, nil
}

// Drop removes the database, ending the sessions that are still open in it.
func (d *Database) Drop(ctx context.Context) error {
	if err := execute(ctx, d.server, "DROP DATABASE IF EXISTS "+quote(d.Name)+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("drop a database: %w", err)
	}
	return nil
}

// Template gives the name of a database that migrate has prepared, for CreateDatabase to copy, and makes it at the
// first call with this key. Copying takes about 50 ms however long the migrations are. Processes that ask at once
// wait for one another, so migrate runs once for each key and server; on a server that outlives the run, key has to
// change when the content does.
func Template(ctx context.Context, serverURL, key string, migrate func(databaseURL string) error) (string, error) {
	conn, err := pgx.Connect(ctx, serverURL)
	if err != nil {
		return "", fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // ends the lock below too

	sum := sha256.Sum256([]byte(key))
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(binary.BigEndian.Uint64(sum[:8]))); err != nil { //nolint:gosec // any 64 bits will do
		return "", fmt.Errorf("lock the template: %w", err)
	}
	suffix := "_" + hex.EncodeToString(sum[:10])
	name, finished, err := findTemplate(ctx, conn, suffix)
	if err != nil || finished {
		return name, err
	}
	if name != "" { // a run died while it made this one
		if _, err := conn.Exec(ctx, "DROP DATABASE "+quote(name)+" WITH (FORCE)"); err != nil {
			return "", fmt.Errorf("drop a half-made template: %w", err)
		}
	}
	name = templatePrefix + strconv.FormatInt(time.Now().Unix(), 36) + suffix
	return name, makeTemplate(ctx, conn, serverURL, name, migrate)
}

// findTemplate looks for the key's database; finished says that nobody can connect to it any more, which is what
// makeTemplate does last.
func findTemplate(ctx context.Context, conn *pgx.Conn, suffix string) (name string, finished bool, err error) {
	err = conn.QueryRow(ctx,
		`SELECT datname, NOT datallowconn FROM pg_database WHERE starts_with(datname, $1) AND right(datname, $2) = $3 LIMIT 1`,
		templatePrefix, len(suffix), suffix).Scan(&name, &finished)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("look for the template: %w", err)
	}
	return name, finished, nil
}

func makeTemplate(ctx context.Context, conn *pgx.Conn, serverURL, name string, migrate func(string) error) error {
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+quote(name)+" TEMPLATE template0"); err != nil {
		return fmt.Errorf("create the template: %w", err)
	}
	u, err := WithDatabase(serverURL, name)
	if err != nil {
		return err
	}
	if err := migrate(u); err != nil {
		return fmt.Errorf("prepare the template: %w", err)
	}
	// A single open session, even one that is just ending after a pool was closed, makes CREATE DATABASE wait five
	// seconds and fail. So nobody may come in any more, and who is still there is shown out.
	if _, err := conn.Exec(ctx, "ALTER DATABASE "+quote(name)+" ALLOW_CONNECTIONS false"); err != nil {
		return fmt.Errorf("close the template: %w", err)
	}
	if _, err := conn.Exec(ctx, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", name); err != nil {
		return fmt.Errorf("close the template: %w", err)
	}
	return nil
}

// Sweep drops what runs that were killed long ago have left on a server that outlives them. It never touches a
// database whose name is not one of ours.
func Sweep(ctx context.Context, serverURL string) error {
	conn, err := pgx.Connect(ctx, serverURL)
	if err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	rows, err := conn.Query(ctx, "SELECT datname FROM pg_database WHERE starts_with(datname, $1) OR starts_with(datname, $2)", testPrefix, templatePrefix)
	if err != nil {
		return fmt.Errorf("list databases: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("list databases: %w", err)
	}
	for _, name := range names {
		if !stale(name, time.Now()) {
			continue
		}
		if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)"); err != nil {
			return fmt.Errorf("drop %s: %w", name, err)
		}
	}
	return nil
}

// stale reads the time in a name of ours.
func stale(name string, now time.Time) bool {
	rest := strings.TrimPrefix(strings.TrimPrefix(name, testPrefix), templatePrefix)
	made, _, ok := strings.Cut(rest, "_")
	if !ok || rest == name {
		return false
	}
	seconds, err := strconv.ParseInt(made, 36, 64)
	return err == nil && now.Sub(time.Unix(seconds, 0)) > staleAfter
}

// WithDatabase gives the server's address with another database in it.
func WithDatabase(serverURL, database string) (string, error) {
	u, err := url.Parse(serverURL)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return "", errors.New("the server's address has to be a postgres:// URL") // the address holds a password: not shown
	}
	u.Path = "/" + database
	return u.String(), nil
}

func execute(ctx context.Context, serverURL, sql string) error {
	conn, err := pgx.Connect(ctx, serverURL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
