package provider

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// Vigil dials connections to Postgres that notice when their server has fallen silent. A statement may take as long as it likes, so its time says
// nothing; but a server that is alive takes connections meanwhile. While one frozen or cut off server is waited for, whoever waits holds a worker
// that others need.
//
// A connection that has waited for an answer longer than Patience asks the server, on another connection, whether it is there. When two such
// questions in a row stay without an answer it is closed, and who waits gets an error that is a timeout.
type Vigil struct {
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	Patience time.Duration // before the first question and between two; 0: 10 s
	Answer   time.Duration // for the answer to one; 0: 5 s
}

const (
	vigilPatience = 10 * time.Second
	vigilAnswer   = 5 * time.Second
	vigilSilences = 2 // one may be lost in a moment of great load
)

// DialContext dials one.
func (v Vigil) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := v.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if v.Patience == 0 {
		v.Patience = vigilPatience
	}
	if v.Answer == 0 {
		v.Answer = vigilAnswer
	}
	return &watchedConn{Conn: c, vigil: v, network: network, address: address}, nil
}

type watchedConn struct {
	net.Conn
	vigil            Vigil
	network, address string
	silent           atomic.Bool
}

// silence is a timeout, by which it is known as trouble that passes.
type silence struct{}

// Error says it.
func (silence) Error() string { return "the server has fallen silent: it answers nobody any more" }

// Timeout implements net.Error.
func (silence) Timeout() bool { return true }

// Temporary implements net.Error.
func (silence) Temporary() bool { return true }

// Read waits as the connection does, under watch.
func (c *watchedConn) Read(b []byte) (int, error) {
	over := make(chan struct{})
	watch := time.AfterFunc(c.vigil.Patience, func() { c.watch(over) })
	n, err := c.Conn.Read(b)
	watch.Stop()
	close(over)
	if err != nil && c.silent.Load() {
		err = &net.OpError{Op: "read", Net: c.network, Addr: c.RemoteAddr(), Err: silence{}}
	}
	return n, err
}

// watch asks until the wait is over, or closes the connection.
func (c *watchedConn) watch(over <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-over:
			cancel()
		case <-ctx.Done():
		}
	}()
	again := time.NewTicker(c.vigil.Patience)
	defer again.Stop()
	for silences := 0; ; {
		err := c.vigil.ask(ctx, c.network, c.address)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			silences = 0
		default:
			silences++
		}
		if silences == vigilSilences {
			c.silent.Store(true)
			_ = c.Close() // what it is closed for is what the reader is told
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

// sslRequest asks whether the server takes TLS (https://www.postgresql.org/docs/current/protocol-message-formats.html). Who asks needs no login,
// and takes none of the server's connections.
var sslRequest = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 8), 80877103)

// ask is answered by any server that lives.
func (v Vigil) ask(ctx context.Context, network, address string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, v.Answer)
	defer cancel()
	c, err := v.Dial(ctx, network, address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	if _, err := c.Write(sslRequest); err != nil {
		return err
	}
	var answer [1]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		return err
	}
	if answer[0] == 'S' { // a server that is left in the middle of a handshake complains in its log
		_ = tls.Client(c, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx) //nolint:gosec // nothing is said or believed: it has answered
	}
	return nil
}
