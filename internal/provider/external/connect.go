package external

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/kitshub/kitshub/internal/egress"
	"github.com/kitshub/kitshub/internal/provider"
)

// bare is a configuration that pgx has made, which it insists on, of settings that are all given: what the environment and the home directory
// would add has no room. Every field that says where to connect and as whom is set anew by config.
var bare = sync.OnceValues(func() (*pgx.ConnConfig, error) {
	settings := "host=none.invalid port=5432 user=nobody password=none dbname=none sslmode=disable sslcertmode=disable sslrootcert='' sslcert='' sslkey=''" +
		" sslpassword='' sslsni=1 sslnegotiation=postgres connect_timeout=0 target_session_attrs=any min_protocol_version=3.0 max_protocol_version=3.0" +
		" channel_binding=prefer require_auth='' passfile='' options='' application_name='' timezone=''"
	if os.Getenv("PGSERVICE") == "" {
		return pgx.ParseConfig(settings)
	}
	// The one thing that cannot be given as "none": pgx looks the service up, wherever it is named. It gets one without settings.
	f, err := os.CreateTemp("", "kitshub-service-")
	if err != nil {
		return nil, err
	}
	_, werr := f.WriteString("[none]\n")
	err = errors.Join(werr, f.Close())
	var c *pgx.ConnConfig
	if err == nil {
		c, err = pgx.ParseConfig(settings + " service=none servicefile='" + f.Name() + "'")
	}
	return c, errors.Join(err, os.Remove(f.Name()))
})

// maxMessage bounds what a server can make the hub keep in memory for one message, far above any row that the hub asks for.
const maxMessage = 16 << 20 // bytes

// config is what pgx connects with: to this host only, through the dialer, with no parameter that a pooler in between would refuse.
func (a address) config(d *egress.Dialer) (*pgx.ConnConfig, error) {
	base, err := bare()
	if err != nil {
		return nil, fmt.Errorf("preparing to connect: %w", err)
	}
	c := base.Copy()
	c.Host, c.Port, c.Database, c.User, c.Password = a.host, a.port, a.database, a.user, a.password
	c.RuntimeParams = map[string]string{"application_name": "kitshub"}
	c.ConnectTimeout = connectTime
	c.ChannelBinding = "prefer"
	if a.channelBinding != "" {
		c.ChannelBinding = a.channelBinding
	}
	c.MaxProtocolMessageBodyLen = maxMessage
	c.DefaultQueryExecMode = pgx.QueryExecModeExec // nothing that a pooler in between could lose
	c.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	c.DialFunc = provider.Vigil{Dial: d.DialContext}.DialContext
	modes := a.tlsConfigs()
	c.TLSConfig, c.Fallbacks = modes[0], nil
	for _, m := range modes[1:] {
		c.Fallbacks = append(c.Fallbacks, &pgconn.FallbackConfig{Host: a.host, Port: a.port, TLSConfig: m})
	}
	return c, nil
}

// tlsConfigs are tried in turn; nil is none. The meaning of the modes is libpq's (https://www.postgresql.org/docs/current/libpq-ssl.html); the
// authorities for verify-ca and verify-full are the system's.
func (a address) tlsConfigs() []*tls.Config {
	encrypted := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} //nolint:gosec // what the mode asks for; the strict ones follow
	if _, err := netip.ParseAddr(a.host); err != nil {
		encrypted.ServerName = a.host
	}
	switch a.sslmode {
	case "disable":
		return []*tls.Config{nil}
	case "allow":
		return []*tls.Config{nil, encrypted}
	case "require":
		return []*tls.Config{encrypted}
	case "verify-ca":
		encrypted.VerifyConnection = verifyChain
		return []*tls.Config{encrypted}
	case "verify-full":
		return []*tls.Config{{MinVersion: tls.VersionTLS12, ServerName: a.host}}
	}
	return []*tls.Config{encrypted, nil}
}

// verifyChain holds the server's certificate against the system's authorities, whatever name it is for.
func verifyChain(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("tls: the server sent no certificate")
	}
	others := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		others.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Intermediates: others})
	return err
}

// open makes a handle for at most n connections. It connects at need.
func (a address) open(d *egress.Dialer, n int) (*sql.DB, error) {
	c, err := a.config(d)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(stdlib.GetConnector(*c))
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// raw lends out the connection of pgx below one of database/sql.
func raw(ctx context.Context, db *sql.DB, f func(*pgconn.PgConn) error) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	err = conn.Raw(func(c any) error {
		sc, ok := c.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("a connection of type %T was not foreseen", c)
		}
		return f(sc.Conn().PgConn())
	})
	return errors.Join(err, conn.Close())
}

// encrypted says what protects a connection, or nothing.
func encrypted(c net.Conn) string {
	if t, ok := c.(*tls.Conn); ok {
		return tls.VersionName(t.ConnectionState().Version)
	}
	return ""
}
