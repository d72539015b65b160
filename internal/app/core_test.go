package app

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kitshub/kitshub/internal/config"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/testkit"
)

// A server that answers and refuses is a fault of DATABASE_URL, told at once and without its parts; one that does not answer may come yet.
func TestWhatPostgresHasAgainstTheAddress(t *testing.T) {
	for code, want := range map[string]string{
		"3D000": "DATABASE_URL: the server has no such database. ",
		"28P01": "DATABASE_URL: the server does not let this user in. ",
		"28000": "DATABASE_URL: the server does not let this user in. ",
		"57P03": "", // cannot connect now: it is starting
		"53300": "", // too many connections
	} {
		cause := &pgconn.PgError{Code: code, Message: `database "secret-name" does not exist`}
		err := turnedAway(hub.Unavailable(errors.Join(errors.New("ping"), cause)))
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", code, err)
			}
			continue
		}
		var problems *config.Error
		if !errors.As(err, &problems) || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", code, err)
		}
	}
	if err := turnedAway(errors.New("connection refused")); err != nil {
		t.Error(err)
	}
}

// Waiting gives a server no TLS: it is told at once, and with sslmode. The tests' servers have none.
func TestAServerWithoutTLSIsAFaultOfTheAddress(t *testing.T) {
	u, err := url.Parse(testkit.ServerURL(t))
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = "sslmode=require"
	_, err = openStore(t.Context(), &config.Config{DatabaseURL: config.Secret(u.String()), DatabaseMaxConns: 2, DatabaseConnectTimeout: time.Second})
	var problems *config.Error
	if !errors.As(err, &problems) || !strings.Contains(err.Error(), "the server refuses TLS. ") || !strings.Contains(err.Error(), "sslmode") {
		t.Error(err)
	}
}
