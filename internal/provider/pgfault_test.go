package provider_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/provider"
	"github.com/kitshub/kitshub/internal/provider/providertest"
	"github.com/kitshub/kitshub/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// answering takes connections, reads whether the client wants TLS, and does what it is told to.
func answering(t *testing.T, do func(net.Conn)) (address string) {
	t.Helper()
	return providertest.Listen(t, func(c net.Conn) {
		ask := make([]byte, 8)
		if _, err := io.ReadFull(c, ask); err == nil && binary.BigEndian.Uint32(ask[4:]) == 80877103 { // SSLRequest
			do(c)
		}
	})
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// What a connection can fail with, each on a real socket: only what passes by itself is of class network.
func TestConnectionsThatFail(t *testing.T) {
	say := func(word string) func(net.Conn) { return func(c net.Conn) { _, _ = c.Write([]byte(word)) } }
	encrypted := func(auth tls.ClientAuthType) func(net.Conn) {
		cfg := &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}, MinVersion: tls.VersionTLS13, ClientAuth: auth}
		return func(c net.Conn) {
			_, _ = c.Write([]byte("S"))
			_ = tls.Server(c, cfg).HandshakeContext(context.Background())
		}
	}
	for name, c := range map[string]struct {
		address, sslmode string
		class            hub.Class
		code             string
	}{
		"it takes no TLS":                   {answering(t, say("N")), "require", hub.ClassAuth, "TLS"},
		"its certificate is nobody's":       {answering(t, encrypted(tls.NoClientCert)), "verify-full", hub.ClassAuth, "TLS"},
		"it wants a certificate of ours":    {answering(t, encrypted(tls.RequireAnyClientCert)), "require", hub.ClassAuth, "TLS"},
		"it says yes and speaks plain":      {answering(t, say("Sno TLS at all")), "require", hub.ClassAuth, "TLS"},
		"it hangs up":                       {answering(t, func(net.Conn) {}), "require", hub.ClassNetwork, ""},
		"nobody listens":                    {providertest.Nobody(t), "require", hub.ClassNetwork, "ECONNREFUSED"},
		"a name like tls that nobody knows": {"tls.invalid:5432", "disable", hub.ClassNetwork, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			conn, err := pgx.Connect(ctx, fmt.Sprintf("postgres://u:p@%s/tls?sslmode=%s", c.address, c.sslmode))
			if err == nil {
				_ = conn.Close(ctx)
				t.Fatal("connected")
			}
			if class, code := provider.ClassifyPostgres(err); class != c.class || code != c.code {
				t.Errorf("%v is of class %s, code %q; want %s, %q", err, class, code, c.class, c.code)
			}
		})
	}
}

// A connection that was closed is passing trouble; what the server itself says is told by its code.
func TestWhatAServerSays(t *testing.T) {
	conn, err := pgx.Connect(t.Context(), testkit.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	for sql, want := range map[string]struct {
		class hub.Class
		code  string
	}{
		`SELECT 1/0`: {hub.ClassBug, "22012"},
		`SET statement_timeout = 1; SELECT pg_sleep(5)`:                                            {hub.ClassNetwork, "57014"},
		`BEGIN; SET TRANSACTION READ ONLY; CREATE TABLE t (n integer)`:                             {hub.ClassAuth, "25006"},
		`DO $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = 'disk_full'; END $$`:                   {hub.ClassQuota, "53100"},
		`DO $$ BEGIN RAISE EXCEPTION 'one too many' USING ERRCODE = '53300'; END $$`:               {hub.ClassQuota, "53300"},
		`DO $$ BEGIN RAISE EXCEPTION 'a page is bad' USING ERRCODE = 'XX001'; END $$`:              {hub.ClassData, "XX001"},
		`DO $$ BEGIN RAISE EXCEPTION 'the server stops' USING ERRCODE = '57P01'; END $$`:           {hub.ClassNetwork, "57P01"},
		`DO $$ BEGIN RAISE EXCEPTION 'may not' USING ERRCODE = '42501'; END $$`:                    {hub.ClassAuth, "42501"},
		`DO $$ BEGIN RAISE EXCEPTION 'in use' USING ERRCODE = '55006'; END $$`:                     {hub.ClassNetwork, "55006"},
		`DO $$ BEGIN RAISE EXCEPTION 'tuple concurrently updated' USING ERRCODE = 'XX000'; END $$`: {hub.ClassNetwork, "XX000"},
		`DO $$ BEGIN RAISE EXCEPTION 'could not write init file' USING ERRCODE = 'XX000'; END $$`:  {hub.ClassQuota, "XX000"},
	} {
		_, err := conn.Exec(t.Context(), sql)
		if class, code := provider.ClassifyPostgres(err); class != want.class || code != want.code {
			t.Errorf("%s: %v is of class %s, code %q; want %s, %q", sql, err, class, code, want.class, want.code)
		}
		if _, err := conn.Exec(t.Context(), `ROLLBACK; RESET ALL`); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), `SELECT 1`)
	if class, _ := provider.ClassifyPostgres(err); class != hub.ClassNetwork || !errors.Is(err, pgconn.ErrConnClosed) {
		t.Errorf("%v is of class %s", err, class)
	}
}
