//go:build !unix

package demo

import (
	"context"
	"errors"
)

func throwawayPostgres(context.Context) (url string, stop func() error, err error) {
	return "", nil, errors.New("a throwaway Postgres can be started on Unix only; leave --engine postgres out")
}
