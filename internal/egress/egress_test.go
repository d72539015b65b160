package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// One address of each block, its first and last, and what Go's own IsPrivate misses.
func TestCheckRefusesSpecialAddresses(t *testing.T) {
	refused := strings.Fields(`
		0.0.0.0 0.255.255.255 10.0.0.1 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 172.31.255.255
		192.0.0.8 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.168.0.1 192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9
		224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
		:: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.1.2.3 ::ffff:169.254.169.254
		64:ff9b::10.0.0.1 64:ff9b::7f00:1 64:ff9b::169.254.169.254 64:ff9b:1::1 64:ff9b:1:ffff::8.8.8.8
		100::1 100:0:0:1::1 2001::1 2001:0:4136:e378::1 2001:2::1 2001:10::1 2001:20::1 2001:1ff::1 2001:db8::1 2002:a00:1::1 2002:7f00:1::1 2002:c0a8:101::1
		2002:a9fe:a9fe::1 2620:4f:8000::1 3fff::1 3fff:fff::1 4000::1 5f00::1 8000::1 fc00::1 fd12:3456:789a::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1`)
	allowed := strings.Fields(`
		1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 169.253.255.255 172.15.255.255 172.32.0.0 192.0.1.0
		192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1 2001:200::1 2001:4860:4860::8888
		2606:4700::1111 2a00:1450:4001::1 2600:1f18::1`)
	d := New(Options{})
	for _, s := range refused {
		var r *Refused
		if err := d.Check(netip.MustParseAddr(s)); !errors.As(err, &r) || r.Block == "" {
			t.Errorf("%s is let through: %v", s, err)
		}
	}
	for _, s := range allowed {
		if err := d.Check(netip.MustParseAddr(s)); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestAllowList(t *testing.T) {
	d := New(Options{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("::1/128")}})
	for s, ok := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "64:ff9b::10.1.2.3": true, "2002:a01:203::1": true, "::1": true,
		"10.2.0.1": false, "127.0.0.1": false, "::ffff:10.2.0.1": false, "2002:a02:1::1": false,
	} {
		if err := d.Check(netip.MustParseAddr(s)); (err == nil) != ok {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// fake is a resolver and a network that remember.
type fake struct {
	answers [][]string // one for each question
	asked   int
	dialled []string
	dead    map[string]bool // swallows packets
}

func (f *fake) dialer(allow ...netip.Prefix) *Dialer {
	return New(Options{
		Allow: allow,
		Resolve: func(context.Context, string) ([]netip.Addr, error) {
			var out []netip.Addr
			for _, s := range f.answers[min(f.asked, len(f.answers)-1)] {
				out = append(out, netip.MustParseAddr(s))
			}
			f.asked++
			return out, nil
		},
		Dial: func(ctx context.Context, _, address string) (net.Conn, error) {
			f.dialled = append(f.dialled, address)
			if f.dead[address] {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			a, _ := net.Pipe()
			return a, nil
		},
	})
}

// The name is asked once, and what was checked is what is dialled.
func TestNoRebinding(t *testing.T) {
	f := &fake{answers: [][]string{{"8.8.8.8"}, {"127.0.0.1"}}}
	conn, err := f.dialer().DialContext(t.Context(), "tcp", "db.example.com:5432")
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if f.asked != 1 || !slices.Equal(f.dialled, []string{"8.8.8.8:5432"}) {
		t.Errorf("asked %d times, dialled %v", f.asked, f.dialled)
	}
	f.dialled = nil
	_, err = f.dialer().DialContext(t.Context(), "tcp", "db.example.com:5432")
	var r *Refused
	if !errors.As(err, &r) || r.Host != "db.example.com" || r.Addr.String() != "127.0.0.1" || len(f.dialled) != 0 {
		t.Errorf("%v, dialled %v", err, f.dialled)
	}
}

// One bad address spoils the name.
func TestEveryAddressIsChecked(t *testing.T) {
	f := &fake{answers: [][]string{{"8.8.8.8", "2606:4700::1111", "10.0.0.1"}}}
	_, err := f.dialer().DialContext(t.Context(), "tcp", "db.example.com:5432")
	var r *Refused
	if !errors.As(err, &r) || len(f.dialled) != 0 {
		t.Errorf("%v, dialled %v", err, f.dialled)
	}
}

// An address that swallows packets leaves time for the next.
func TestNextAddressGetsItsTime(t *testing.T) {
	t.Parallel()
	f := &fake{answers: [][]string{{"8.8.8.8", "8.8.4.4"}}, dead: map[string]bool{"8.8.8.8:5432": true}}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // the first address gets half of it, and a busy machine the rest
	defer cancel()
	conn, err := f.dialer().DialContext(ctx, "tcp", "db.example.com:5432")
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if !slices.Equal(f.dialled, []string{"8.8.8.8:5432", "8.8.4.4:5432"}) {
		t.Errorf("dialled %v", f.dialled)
	}
}

// On the real network: loopback by number and by name.
func TestDialLoopback(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, host := range []string{"127.0.0.1", "localhost", "::ffff:127.0.0.1"} {
		address := net.JoinHostPort(host, port)
		var r *Refused
		if conn, err := New(Options{}).DialContext(t.Context(), "tcp", address); !errors.As(err, &r) {
			t.Errorf("%s: %v, %v", address, conn, err)
		}
		allow := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
		conn, err := New(Options{Allow: allow}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		_ = conn.Close()
	}
}

// FuzzCheck: an address and its IPv4-mapped form are judged alike, and what is let through is no private address in Go's own words.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "8.8.8.8", "64:ff9b::a00:1", "2002:7f00:1::", "fe80::1"} {
		a := netip.MustParseAddr(s).As16()
		f.Add(a[:])
	}
	d := New(Options{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != 16 {
			return
		}
		a := netip.AddrFrom16([16]byte(b))
		err := d.Check(a)
		if err == nil && (a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || a.Unmap().IsPrivate() || a.Unmap().IsLoopback()) {
			t.Errorf("%s is let through", a)
		}
		if v4 := a.Unmap(); v4.Is4() && (d.Check(v4) == nil) != (err == nil) {
			t.Errorf("%s and %s are judged differently", a, v4)
		}
	})
}
