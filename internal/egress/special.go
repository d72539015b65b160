package egress

import "net/netip"

// block is one entry of the registries.
type block struct {
	prefix netip.Prefix
	name   string // as people call it
}

func blocks(pairs ...string) []block {
	out := make([]block, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, block{netip.MustParsePrefix(pairs[i]), pairs[i+1]})
	}
	return out
}

// special are the blocks of https://www.iana.org/assignments/iana-ipv4-special-registry and …/iana-ipv6-special-registry that are no places on
// the public internet, with the multicast and reserved ranges of the address space registries. A few that are (AS112, AMT relays) are listed as
// well: no database and no receiver of webhooks lives there. The narrower of two blocks comes first, for the sake of its name.
var special = blocks(
	"0.0.0.0/8", "this network",
	"10.0.0.0/8", "private",
	"100.64.0.0/10", "carrier-grade NAT",
	"127.0.0.0/8", "loopback",
	"169.254.0.0/16", "link-local, where clouds answer for their machines",
	"172.16.0.0/12", "private",
	"192.0.0.0/24", "IETF protocol assignments",
	"192.0.2.0/24", "documentation",
	"192.31.196.0/24", "AS112",
	"192.52.193.0/24", "AMT",
	"192.88.99.0/24", "6to4 relay",
	"192.168.0.0/16", "private",
	"192.175.48.0/24", "AS112",
	"198.18.0.0/15", "benchmarking",
	"198.51.100.0/24", "documentation",
	"203.0.113.0/24", "documentation",
	"224.0.0.0/4", "multicast",
	"255.255.255.255/32", "broadcast",
	"240.0.0.0/4", "reserved",

	"::/128", "unspecified",
	"::1/128", "loopback",
	"64:ff9b:1::/48", "local NAT64",
	"100::/64", "discard",
	"100:0:0:1::/64", "dummy",
	"2001::/32", "Teredo",
	"2001:2::/48", "benchmarking",
	"2001::/23", "IETF protocol assignments",
	"2001:db8::/32", "documentation",
	"2620:4f:8000::/48", "AS112",
	"3fff::/20", "documentation",
	"5f00::/16", "segment routing",
	"fc00::/7", "private",
	"fe80::/10", "link-local",
	"fec0::/10", "site-local",
	"ff00::/8", "multicast",
)

var (
	global6 = netip.MustParsePrefix("2000::/3")
	nat64   = netip.MustParsePrefix("64:ff9b::/96")
	sixTo4  = netip.MustParsePrefix("2002::/16")
)

// inside gives the IPv4 address that an IPv6 address stands for; ok is false where it stands for itself. RFC 6052 (NAT64), RFC 3056 (6to4).
func inside(a netip.Addr) (v4 netip.Addr, ok bool) {
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case sixTo4.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}

// specialName says which block an address is in; empty for a place on the public internet. The address is not IPv4-mapped and has no zone.
func specialName(a netip.Addr) string {
	for _, b := range special {
		if b.prefix.Contains(a) {
			return b.name
		}
	}
	if a.Is4() {
		return ""
	}
	if v4, ok := inside(a); ok {
		return specialName(v4)
	}
	if !global6.Contains(a) {
		return "reserved"
	}
	return ""
}
