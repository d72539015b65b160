package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

// Refused is the error for an address that must not be connected to. It names what was asked for and why it is refused, for operators: whoever
// may give addresses may know what they resolve to.
type Refused struct {
	Host  string     // as given
	Addr  netip.Addr // what it resolved to
	Block string     // the special block that it is in: "private", "loopback" …
}

// Error says it in one sentence without a full stop.
func (e *Refused) Error() string {
	if e.Host == e.Addr.String() {
		return fmt.Sprintf("%s is a special address (%s)", e.Host, e.Block)
	}
	return fmt.Sprintf("%s leads to %s, a special address (%s)", e.Host, e.Addr, e.Block)
}

// Options is what a Dialer works with; the zero value refuses every special address and uses the machine's resolver and network.
type Options struct {
	Allow []netip.Prefix // special addresses that are allowed all the same

	// Resolve and Dial stand in for the resolver and the network in tests; no setting reaches them. What Resolve gives is checked like any
	// answer; Dial is given checked addresses only.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
}

// Dialer connects to addresses that were checked. It may be used by any number of goroutines.
type Dialer struct {
	o Options
}

// New makes a dialer.
func New(o Options) *Dialer {
	o.Allow = slices.Clone(o.Allow)
	if o.Resolve == nil {
		o.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	return &Dialer{o: o}
}

// Check refuses a special address that is not on the allow-list, with a *Refused.
func (d *Dialer) Check(a netip.Addr) error {
	plain := a.WithZone("").Unmap()
	if d.allows(plain) {
		return nil
	}
	if v4, ok := inside(plain); ok && d.allows(v4) {
		return nil
	}
	if block := specialName(plain); block != "" {
		return &Refused{Host: a.String(), Addr: a, Block: block}
	}
	return nil
}

func (d *Dialer) allows(a netip.Addr) bool {
	return slices.ContainsFunc(d.o.Allow, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Lookup resolves a host and checks every address of it.
//
// Errors: *Refused, *net.DNSError, and the end of ctx.
func (d *Dialer) Lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	addrs := []netip.Addr{}
	if a, err := netip.ParseAddr(host); err == nil {
		addrs = append(addrs, a)
	} else if addrs, err = d.o.Resolve(ctx, host); err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no addresses", Name: host, IsNotFound: true}
	}
	for _, a := range addrs {
		if err := d.Check(a); err != nil {
			var r *Refused
			if errors.As(err, &r) {
				r.Host = host
			}
			return nil, err
		}
	}
	return addrs, nil
}

// DialContext connects to host:port, as net.Dialer does, at one of the addresses that were checked. They are tried in the resolver's order,
// each with an equal share of the time that is left, so that one that swallows packets does not use up that of the others.
//
// Errors: those of Lookup, and those of all addresses joined.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := d.Lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	var failed []error
	for i, a := range addrs {
		conn, err := d.dialOne(ctx, network, net.JoinHostPort(a.Unmap().String(), port), len(addrs)-i)
		if err == nil {
			return conn, nil
		}
		failed = append(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(failed...)
}

func (d *Dialer) dialOne(ctx context.Context, network, address string, left int) (net.Conn, error) {
	if end, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(left))
		defer cancel()
	}
	return d.o.Dial(ctx, network, address)
}
