//go:build unix

package placekit

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
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
	drive.Site
	Engine string
	URL    string // of the database, on Postgres
	DB     *sql.DB
	Token  string
	Log    io.Writer
}

// NewWorld makes one. It must be closed also after an error.
func NewWorld(ctx context.Context, o check.Options) (*World, error) {
	w := &World{Engine: o.Engine, Log: o.Log}
	binary, remove, err := check.Kitshub(ctx, o)
	if err != nil {
		return w, err
	}
	w.Site, err = drive.NewSite(binary, "kitshub-line-")
	w.Defer(remove)
	if err != nil {
		return w, err
	}
	var key [32]byte
	rand.Read(key[:]) //nolint:errcheck,gosec // never fails: it ends the process instead
	w.Env = []string{"ENCRYPTION_KEY=base64:" + base64.StdEncoding.EncodeToString(key[:]), "TENANT_PROVIDER=sqlite"}
	driver, source := "sqlite", (&url.URL{Scheme: "file", Path: filepath.Join(w.Options(0, "").DataDir, "hub.db"), RawQuery: "_pragma=busy_timeout(10000)"}).String()
	if o.Engine == check.Postgres {
		server, err := pgserver.Start(ctx, pgserver.Options{
			Settings: map[string]string{"max_wal_size": "4GB", "autovacuum_naptime": "10min"}, // the seeding is no part of any figure
			Logf:     func(format string, args ...any) { fmt.Fprintf(o.Log, format+"\n", args...) },
		})
		if err != nil {
			return w, err
		}
		w.Defer(server.Stop)
		w.URL, driver, source = server.URL, "pgx", server.URL
		w.Env = append(w.Env, "DATABASE_URL="+server.URL, "TENANT_PROVIDER=sqlite") // the line is what counts
	}
	if w.Token, err = w.AdminToken(ctx, home(0)); err != nil {
		return w, err
	}
	if w.DB, err = sql.Open(driver, source); err != nil {
		return w, err
	}
	w.Defer(w.DB.Close)
	return w, nil
}

func home(i int) string { return strconv.Itoa(i) }

// Options are those of hub i, with further settings.
func (w *World) Options(i int, listen string, env ...string) drive.Options {
	return w.Site.Options(home(i), listen, env...)
}

// Start runs hub i on a free port.
func (w *World) Start(ctx context.Context, i int, env ...string) (*drive.Hub, error) {
	return w.Site.Start(ctx, home(i), env...)
}
