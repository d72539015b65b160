//go:build !unix

package demo

import (
	"context"
	"errors"
)

func throwawayPostgres(context.Context) (database, error) {
	return database{}, errors.New("a throwaway Postgres can be started on Unix only; leave --engine postgres out")
}
