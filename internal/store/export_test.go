package store

import (
	"context"
	"io/fs"

	"github.com/pressly/goose/v3"
)

// Migrations are the files of one engine.
func Migrations(engine string) fs.FS {
	sub, err := fs.Sub(migrations, "migrations/"+engine)
	if err != nil {
		panic(err)
	}
	return sub
}

// Down takes all migrations back.
func (s *Store) Down(ctx context.Context) error {
	p, err := goose.NewProvider(s.dialect.goose, s.write, Migrations(s.dialect.name), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = p.DownTo(ctx, 0)
	return err
}
