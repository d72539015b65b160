package providertest

import (
	"net"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// Listen serves each connection until the test ends, and gives the address.
func Listen(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	conns := map[net.Conn]bool{}
	over := false
	var mu sync.Mutex
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[c] = true
			if over { // it came while the test ended: nobody else would close it
				_ = c.Close()
			}
			mu.Unlock()
			wg.Go(func() { serve(c); _ = c.Close() })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		over = true
		for c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// Pooler is one in transaction mode: it has n sessions with the server of the address, hands each query or transaction the one that was free
// the longest, and lets everybody in.
func Pooler(t testing.TB, address string, n int) string {
	t.Helper()
	sessions := make(chan *pgconn.HijackedConn, n)
	for range n {
		c, err := pgconn.Connect(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		h, err := c.Hijack()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Conn.Close() })
		sessions <- h
	}
	return Listen(t, func(c net.Conn) {
		b := pgproto3.NewBackend(c, c)
		if _, err := b.ReceiveStartupMessage(); err != nil {
			return
		}
		b.Send(&pgproto3.AuthenticationOk{})
		b.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: "15.8"})
		b.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
		b.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		if b.Flush() != nil {
			return
		}
		var h *pgconn.HijackedConn
		defer func() {
			if h != nil {
				sessions <- h
			}
		}()
		for {
			m, err := b.Receive()
			if _, end := m.(*pgproto3.Terminate); end || err != nil {
				return
			}
			if h == nil {
				h = <-sessions
			}
			h.Frontend.Send(m)
			switch m.(type) {
			case *pgproto3.Sync, *pgproto3.Query:
			default:
				continue
			}
			if h.Frontend.Flush() != nil {
				return
			}
			for over := false; !over; {
				m, err := h.Frontend.Receive()
				if err != nil {
					return
				}
				b.Send(m)
				ready, is := m.(*pgproto3.ReadyForQuery)
				if over = is; is && ready.TxStatus == 'I' {
					sessions <- h
					h = nil
				}
			}
			if b.Flush() != nil {
				return
			}
		}
	})
}
