package hubtest

import (
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// patience is how long a test waits for what should come at once; the machine may be busy.
const patience = 60 * time.Second

// Until waits until a running hub has brought a request to where it shall be, and gives its state.
func Until(t testing.TB, s *hub.Service, id string, good func(hub.State) bool) hub.State {
	t.Helper()
	changed := make(chan struct{}, 1)
	defer s.Subscribe(id, func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})()
	over := time.After(patience)
	for {
		r, err := s.Request(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if good(r.State) {
			return r.State
		}
		select {
		case <-changed:
		case <-over:
			t.Fatalf("%s is %s: %+v", id, r.State, r.Failure)
		}
	}
}

// Reach waits until it is in the state.
func Reach(t testing.TB, s *hub.Service, id string, state hub.State) {
	t.Helper()
	Until(t, s, id, func(is hub.State) bool { return is == state })
}
