package provider

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kitshub/kitshub/internal/hub"
)

// PostgresCode is the SQLSTATE that a Postgres server gave (https://www.postgresql.org/docs/current/errcodes-appendix.html), or empty.
func PostgresCode(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// ClassifyPostgres says what kind of trouble an error is that was met with SQL of our own, never the catalog's: a statement that is wrong is a
// bug of ours. code is the server's, or a word of the network, or empty.
func ClassifyPostgres(err error) (class hub.Class, code string) {
	if code := PostgresCode(err); code != "" {
		return classOf(code, err), code
	}
	var away net.Error
	var connect *pgconn.ConnectError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return hub.ClassNetwork, "ECONNREFUSED"
	case errors.As(err, &away) && away.Timeout(), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, pgconn.ErrConnClosed), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return hub.ClassNetwork, ""
	case TLSTrouble(err) != "": // refused by the server or not trusted by us; neither passes by itself
		return hub.ClassAuth, "TLS"
	case errors.As(err, &away), errors.As(err, &connect):
		return hub.ClassNetwork, ""
	}
	return hub.ClassBug, ""
}

// TLSTrouble says what is wrong with a server's TLS; empty where that is not the trouble.
func TLSTrouble(err error) string {
	var verify *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var far *net.OpError
	switch {
	case err == nil:
		return ""
	case strings.Contains(err.Error(), "server refused TLS connection"): // pgconn has no name for it
		return "the server refuses TLS"
	case errors.As(err, &host):
		return "its certificate is for another host"
	case errors.As(err, &unknown):
		return "its certificate is from an authority that the hub's machine does not know"
	case errors.As(err, &invalid):
		return "its certificate is not valid"
	case errors.As(err, &verify), errors.As(err, &record), strings.Contains(err.Error(), ": tls error: "), // pgconn's words
		errors.As(err, &far) && far.Op == "remote error": // how crypto/tls marks the other side's alert
		return "the handshake failed"
	}
	return ""
}

func classOf(code string, err error) hub.Class {
	switch code {
	case "55P03", "55006", "55000", "40P01", "40001":
		return hub.ClassNetwork // a lock, an object in use, a state: all pass
	case "42501", "25006", "0LP01", "0L000":
		return hub.ClassAuth // a read-only server is one that was failed over: the address is wrong
	case "3D000", "42P04", "42710":
		return hub.ClassData
	case "XX000":
		switch says := err.Error(); { // the server does not translate what it gives this code
		case strings.Contains(says, "concurrently updated"):
			return hub.ClassNetwork
		case strings.Contains(says, "could not write init file"):
			return hub.ClassQuota // its disk is full, and the first session in a new database has a file to write
		}
		return hub.ClassBug
	case "XX001", "XX002":
		return hub.ClassData
	}
	switch code[:2] {
	case "08", "40", "57", "58":
		return hub.ClassNetwork // connection, serialization, operator, system
	case "28":
		return hub.ClassAuth
	case "53":
		return hub.ClassQuota
	}
	return hub.ClassBug
}
