package drive

import (
	"net"
	"testing"
)

// A port that was given is given to nobody else, and a hub may listen on it, also after one that was killed.
func TestFreeAddrIsKept(t *testing.T) {
	listen := func(addr string) net.Listener {
		t.Helper()
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	addr, err := FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := listen(addr).Close(); err != nil {
			t.Fatal(err)
		}
	}
	if other, err := FreeAddr(); err != nil || other == addr {
		t.Errorf("%s was given twice (%v)", addr, err)
	}
}
