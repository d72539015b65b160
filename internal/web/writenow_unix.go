//go:build unix

package web

import (
	"errors"
	"syscall"
)

// writeNow writes as much as the kernel takes at once.
func writeNow(raw syscall.RawConn, b []byte) (n int, err error) {
	cerr := raw.Write(func(fd uintptr) bool {
		for n < len(b) {
			var m int
			if m, err = syscall.Write(int(fd), b[n:]); m > 0 {
				n += m
			}
			if err != nil && !errors.Is(err, syscall.EINTR) {
				break
			}
		}
		return true // no waiting
	})
	switch {
	case cerr != nil:
		return n, cerr
	case errors.Is(err, syscall.EAGAIN):
		return n, nil
	}
	return n, err
}
