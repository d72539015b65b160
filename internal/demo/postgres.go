//go:build unix

package demo

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/kitshub/kitshub/internal/testkit/pgserver"
)

// throwawayPostgres starts a server of its own, with a database and a role for the hub that may do what it needs and no more. Unlike the tests
// it installs nothing: a demo has no business changing the machine.
func throwawayPostgres(ctx context.Context) (d database, err error) {
	bin, ok := postgresPrograms()
	if !ok {
		return d, errors.New("the programs of a Postgres server (initdb, postgres) are not here; install Debian's package by `apt-get install postgresql`, or leave --engine postgres out")
	}
	s, err := pgserver.Start(ctx, pgserver.Options{Durable: true, BinDir: bin})
	if err != nil {
		return d, err
	}
	home, err := pgserver.CreateHome(ctx, s.URL)
	if err != nil {
		return d, errors.Join(err, s.Stop())
	}
	return database{name: home.Name, url: home.URL, server: s.URL, stop: s.Stop}, nil
}

// postgresPrograms finds the directory that has initdb and postgres: on PATH, or where distributions put them.
func postgresPrograms() (dir string, ok bool) {
	var places []string
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			places = append(places, filepath.Dir(path))
		}
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin"} {
		found, _ := filepath.Glob(pattern) // its only error is a bad pattern
		slices.Reverse(found)              // the newest first
		places = append(places, found...)
	}
	for _, p := range places {
		_, errInit := os.Stat(filepath.Join(p, "initdb"))
		_, errServer := os.Stat(filepath.Join(p, "postgres"))
		if errInit == nil && errServer == nil {
			return p, true
		}
	}
	return "", false
}
