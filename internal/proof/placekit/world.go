//go:build unix

package placekit

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver of the hub's database on Postgres
	_ "modernc.org/sqlite"             // and on SQLite

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/testkit/pgserver"
)

// World is what hubs need to run: a binary, a place, a database with the hub's own schema, and a token of an admin.
type World struct {
	Engine string
	URL    string // of the database, on Postgres
	DB     *sql.DB
	Token  string
	Log    io.Writer

	dir     string
	binary  string
	env     []string
	cleanup []func() error
}

// NewWorld makes one. It must be closed also after an error.
func NewWorld(ctx context.Context, o check.Options) (*World, error) {
	w := &World{Engine: o.Engine, Log: o.Log}
	var err error
	var remove func() error
	if w.binary, remove, err = check.Kitshub(ctx, o); err != nil {
		return w, err
	}
	w.cleanup = append(w.cleanup, remove)
	if w.dir, err = os.MkdirTemp("", "kitshub-line-"); err != nil {
		return w, err
	}
	w.cleanup = append(w.cleanup, func() error { return os.RemoveAll(w.dir) })
	var key [32]byte
	rand.Read(key[:]) //nolint:errcheck,gosec // never fails: it ends the process instead
	w.env = []string{"ENCRYPTION_KEY=base64:" + base64.StdEncoding.EncodeToString(key[:]), "TENANT_PROVIDER=sqlite"}
	driver, source := "sqlite", (&url.URL{Scheme: "file", Path: filepath.Join(w.Options(0, "").DataDir, "hub.db"), RawQuery: "_pragma=busy_timeout(10000)"}).String()
	if o.Engine == check.Postgres {
		server, err := pgserver.Start(ctx, pgserver.Options{
			Settings: map[string]string{"max_wal_size": "4GB", "autovacuum_naptime": "10min"}, // the seeding is no part of any figure
			Logf:     func(format string, args ...any) { fmt.Fprintf(o.Log, format+"\n", args...) },
		})
		if err != nil {
			return w, err
		}
		w.cleanup = append(w.cleanup, server.Stop)
		w.URL, driver, source = server.URL, "pgx", server.URL
		w.env = append(w.env, "DATABASE_URL="+server.URL, "TENANT_PROVIDER=sqlite") // the line is what counts
	}
	out, err := w.Options(0, "").Command(ctx, "", "tokens", "create", "--name", "proof", "--role", "admin", "-o", "json") // makes the schema, too
	if err != nil {
		return w, err
	}
	var made struct{ Token string }
	if err := json.Unmarshal(out, &made); err != nil || made.Token == "" {
		return w, fmt.Errorf("tokens create printed %q: %w", out, err)
	}
	w.Token = made.Token
	if w.DB, err = sql.Open(driver, source); err != nil {
		return w, err
	}
	w.cleanup = append(w.cleanup, w.DB.Close)
	return w, nil
}

// Options are those of hub i, with further settings.
func (w *World) Options(i int, listen string, env ...string) drive.Options {
	return drive.Options{Binary: w.binary, DataDir: filepath.Join(w.dir, "hub"+strconv.Itoa(i)), Listen: listen, Env: append(append([]string(nil), w.env...), env...)}
}

// Start runs hub i on a free port.
func (w *World) Start(ctx context.Context, i int, env ...string) (*drive.Hub, error) {
	listen, err := drive.FreeAddr()
	if err != nil {
		return nil, err
	}
	return drive.Start(ctx, w.Options(i, listen, env...))
}

// Defer adds something to be done by Close, before what was added earlier.
func (w *World) Defer(f func() error) { w.cleanup = append(w.cleanup, f) }

// Close leaves nothing behind.
func (w *World) Close() error {
	var errs []error
	for i := len(w.cleanup) - 1; i >= 0; i-- {
		errs = append(errs, w.cleanup[i]())
	}
	return errors.Join(errs...)
}
