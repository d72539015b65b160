package drive

import (
	"fmt"
	"net/netip"
	"syscall"
)

// FreeAddr gives a free loopback port and keeps it until this process ends, so that nobody else gets it before the hub listens, or while a hub
// that was killed is started again: it is bound and not listened on. Such a port the kernel gives to nobody who asks for any; and who asks for
// this one and says SO_REUSEADDR, as every server in Go does, may listen there.
func FreeAddr() (string, error) {
	fail := func(err error) (string, error) { return "", fmt.Errorf("a free port: %w", err) }
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	loopback := [4]byte{127, 0, 0, 1}
	if err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: loopback})
	}
	var name syscall.Sockaddr
	if err == nil {
		name, err = syscall.Getsockname(fd)
	}
	given, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		_ = syscall.Close(fd)
		return fail(err)
	}
	return netip.AddrPortFrom(netip.AddrFrom4(loopback), uint16(given.Port)).String(), nil //nolint:gosec // a port
}
