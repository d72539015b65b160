// Package egress connects to addresses that users gave: a customer's database, a webhook's receiver. Such an address must not lead into the
// hub's own network, so what a name resolves to is held against the special-purpose registries of IANA at the moment of connecting, and the
// connection goes to the address that was checked: a name that answers differently the second time gains nothing.
//
// What is refused unless the allow-list has it: everything that the registries do not call globally reachable, multicast, and all of IPv6
// outside 2000::/3. Addresses that carry an IPv4 address inside (mapped, NAT64, 6to4) are judged by that one. Of a name with several addresses
// each one must pass, since nobody can say which one a client would take.
//
// It knows nothing of what is spoken over the connection. It must be the only way out for such addresses: a client that follows redirects or
// resolves by itself goes around it.
package egress
