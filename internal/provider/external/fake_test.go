package external

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/kitshub/kitshub/internal/egress"
	"github.com/kitshub/kitshub/internal/provider/providertest"
)

// network stands in for resolver and network: hosts have a public address each, and what is dialled there comes out at a place on loopback.
// Everything else of the way out is as in production, the check of the address included.
type network struct {
	mu     sync.Mutex
	hosts  map[string]string // host → loopback address
	names  map[string]string // public address → host
	dials  []string          // hosts, in order
	absent map[string]bool   // hosts that resolve to an address nothing answers at
}

func newNetwork() *network {
	return &network{hosts: map[string]string{}, names: map[string]string{}, absent: map[string]bool{}}
}

func (n *network) put(host, place string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[host] = place
}

func (n *network) dialer() *egress.Dialer {
	return egress.New(egress.Options{
		Resolve: func(_ context.Context, host string) ([]netip.Addr, error) {
			n.mu.Lock()
			defer n.mu.Unlock()
			if n.hosts[host] == "" && !n.absent[host] {
				return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
			}
			a := netip.AddrFrom4([4]byte{8, 8, byte(len(n.names) / 250), byte(1 + len(n.names)%250)})
			n.names[a.String()] = host
			return []netip.Addr{a}, nil
		},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			ip, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			n.mu.Lock()
			host := n.names[ip]
			n.dials = append(n.dials, host)
			place := n.hosts[host]
			n.mu.Unlock()
			if place == "" { // packets are swallowed
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return new(net.Dialer).DialContext(ctx, network, place)
		},
	})
}

// certificate is one that nobody vouches for, as Supabase's is by an authority of its own.
var certificate = sync.OnceValues(func() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	tpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"test.invalid"},
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
})

// inTLS is a server that asks for TLS and hands on to a real one that has none.
func inTLS(t testing.TB, behind string) string {
	t.Helper()
	return pooler(t, behind, func(m *pgproto3.StartupMessage) *pgproto3.ErrorResponse { return nil })
}

// pooler is such a server that may change who logs in to what, or refuse, as a hosted one does that serves many projects.
func pooler(t testing.TB, behind string, admit func(*pgproto3.StartupMessage) *pgproto3.ErrorResponse) string {
	t.Helper()
	cert, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	return providertest.Listen(t, func(c net.Conn) {
		ask := make([]byte, 8)
		if _, err := io.ReadFull(c, ask); err != nil || binary.BigEndian.Uint32(ask[4:]) != 80877103 { // SSLRequest
			return
		}
		if _, err := c.Write([]byte("S")); err != nil {
			return
		}
		s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
		b := pgproto3.NewBackend(s, s)
		m, err := b.ReceiveStartupMessage()
		start, is := m.(*pgproto3.StartupMessage)
		if err != nil || !is {
			return
		}
		if refusal := admit(start); refusal != nil {
			b.Send(refusal)
			_ = b.Flush()
			return
		}
		words, err := start.Encode(nil)
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", behind)
		if err != nil {
			return
		}
		if _, err := to.Write(words); err != nil {
			return
		}
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = io.Copy(to, s); _ = to.Close() })
		_, _ = io.Copy(s, to)
		_ = s.Close()
		wg.Wait()
	})
}

// speaking is a server that plays the first words of the protocol: it takes no TLS, lets everybody in, and says what it is told to.
func speaking(t testing.TB, say ...pgproto3.BackendMessage) string {
	t.Helper()
	return providertest.Listen(t, func(c net.Conn) {
		b := pgproto3.NewBackend(c, c)
		for {
			m, err := b.ReceiveStartupMessage()
			if err != nil {
				return
			}
			if _, is := m.(*pgproto3.SSLRequest); is {
				if _, err := c.Write([]byte("N")); err != nil {
					return
				}
				continue
			}
			break
		}
		for _, m := range say {
			b.Send(m)
		}
		if b.Flush() != nil {
			return
		}
		for {
			if _, err := b.Receive(); err != nil {
				return
			}
		}
	})
}

// swallowing takes connections and never says a word.
func swallowing(t testing.TB) string {
	t.Helper()
	return providertest.Listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
}

func hostOf(t testing.TB, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

var errNotDialled = errors.New("not dialled")
