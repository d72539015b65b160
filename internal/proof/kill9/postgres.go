//go:build unix

package kill9

import (
	"context"
	"fmt"
	"io"

	"github.com/kitshub/kitshub/internal/testkit/pgserver"
)

// throwawayPostgres starts a server that syncs as one in production does.
func throwawayPostgres(ctx context.Context, log io.Writer) (url string, stop func() error, err error) {
	s, err := pgserver.Start(ctx, pgserver.Options{Durable: true, Logf: func(format string, args ...any) { fmt.Fprintf(log, format+"\n", args...) }})
	if err != nil {
		return "", nil, err
	}
	return s.URL, s.Stop, nil
}
