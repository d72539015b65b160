package testkit

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Main is for the TestMain of packages that start services: it runs the tests, stops the Postgres server if this
// process started one, and fails when a goroutine is still running. No package needs it for the server's sake.
//
//	func TestMain(m *testing.M) { testkit.Main(m) }
func Main(m *testing.M, opts ...goleak.Option) {
	code := m.Run()
	own.Lock()
	if own.server != nil {
		if err := own.server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	own.Unlock()
	if code == 0 { // a failed test leaves goroutines behind; its own message is the one to read
		if err := leaked(opts); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// endsWithin is how long goroutines that were told to end may take: a driver hears out a server whose statement was broken off, and goleak by
// itself waits for less than half a second.
const endsWithin = 20 * time.Second

func leaked(opts []goleak.Option) (err error) {
	for end := time.Now().Add(endsWithin); ; {
		if err = goleak.Find(opts...); err == nil || time.Now().After(end) {
			return err
		}
	}
}
