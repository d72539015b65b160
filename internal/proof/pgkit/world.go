//go:build unix

package pgkit

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver of everything here

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/inspect"
	"github.com/kitshub/kitshub/internal/testkit/pgserver"
)

// Options say what a world is like.
type Options struct {
	Plans    []Plan            // the catalog's
	Beside   []Feature         // the catalog's, beside the built-in ones
	Env      []string          // further settings of every hub, NAME=value
	Conns    int               // connections the server takes; 0: 200
	HubConns int               // DATABASE_MAX_CONNS of each hub; 0: 10
	Server   map[string]string // further settings of the server
}

// World is a server with everything that hubs need.
type World struct {
	drive.Site
	Server  *pgserver.Server
	Super   *sql.DB // the maintenance database with a superuser's eyes
	Hub     *sql.DB // the hub's own database, likewise
	Admin   string  // address of the maintenance database for the hub's role
	Catalog *inspect.Catalog
	Judge   *inspect.Judge
	Folder  string // of the catalog
	Token   string // of an admin
}

// HubRole is the role that hubs have on the server, in their own database and on the cluster.
const HubRole = "hub_admin"

const hubDatabase = "hub_data"

// NewWorld makes one. It must be closed also after an error.
func NewWorld(ctx context.Context, o check.Options, opts Options) (*World, error) {
	w := &World{}
	binary, remove, err := check.Kitshub(ctx, o)
	if err != nil {
		return w, err
	}
	w.Site, err = drive.NewSite(binary, "kitshub-tenants-")
	w.Defer(remove)
	if err != nil {
		return w, err
	}
	w.Folder = w.Path("catalog")
	if err := WriteCatalog(w.Folder, opts.Plans, opts.Beside); err != nil {
		return w, fmt.Errorf("write the catalog: %w", err)
	}
	if w.Catalog, err = inspect.Read(os.DirFS(w.Folder)); err != nil {
		return w, err
	}
	if err := w.startServer(ctx, o.Log, opts); err != nil {
		return w, err
	}
	w.Judge = inspect.NewPostgresJudge(w.Catalog, w.Server.URL)
	w.Defer(w.Judge.Close)
	if err := w.configure(opts); err != nil {
		return w, err
	}
	w.Token, err = w.AdminToken(ctx, "setup")
	return w, err
}

func (w *World) startServer(ctx context.Context, log io.Writer, opts Options) (err error) {
	conns := opts.Conns
	if conns == 0 {
		conns = 200
	}
	settings := map[string]string{"max_connections": strconv.Itoa(conns), "max_wal_size": "4GB"}
	for k, v := range opts.Server {
		settings[k] = v
	}
	w.Server, err = pgserver.Start(ctx, pgserver.Options{
		Durable: true, Settings: settings, Logf: func(format string, args ...any) { fmt.Fprintf(log, format+"\n", args...) },
	})
	if err != nil {
		return err
	}
	w.Defer(w.Server.Stop)
	if w.Super, err = w.Open(w.Server.URL); err != nil {
		return err
	}
	password := rand.Text()
	for _, q := range []string{
		`CREATE ROLE ` + HubRole + ` LOGIN CREATEDB CREATEROLE NOSUPERUSER PASSWORD '` + password + `'`,
		`CREATE DATABASE ` + hubDatabase + ` OWNER ` + HubRole,
		`REVOKE CONNECT ON DATABASE postgres FROM PUBLIC`,
		`REVOKE CONNECT ON DATABASE template1 FROM PUBLIC`,
		`GRANT CONNECT ON DATABASE postgres TO ` + HubRole,
	} {
		if _, err := w.Super.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("set the server up: %w", err)
		}
	}
	u, err := url.Parse(w.Server.URL)
	if err != nil {
		return err
	}
	u.User = url.UserPassword(HubRole, password)
	w.Admin = u.String()
	own, err := pgserver.WithDatabase(w.Server.URL, hubDatabase)
	if err != nil {
		return err
	}
	w.Hub, err = w.Open(own)
	return err
}

func (w *World) configure(opts Options) error {
	own, err := pgserver.WithDatabase(w.Admin, hubDatabase)
	if err != nil {
		return err
	}
	conns := opts.HubConns
	if conns == 0 {
		conns = 10
	}
	var key [32]byte
	rand.Read(key[:]) //nolint:errcheck,gosec // never fails: it ends the process instead
	w.Env = append([]string{
		"ENCRYPTION_KEY=base64:" + base64.StdEncoding.EncodeToString(key[:]), "DATABASE_URL=" + own, "TENANT_DATABASE_URL=" + w.Admin,
		"TENANT_PROVIDER=postgres", "CATALOG_DIR=" + w.Folder, "DATABASE_MAX_CONNS=" + strconv.Itoa(conns),
	}, opts.Env...)
	return nil
}

// Open opens a database of the server, closed with the world.
func (w *World) Open(address string) (*sql.DB, error) {
	db, err := sql.Open("pgx", address)
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(2)
	w.Defer(db.Close)
	return db, nil
}
