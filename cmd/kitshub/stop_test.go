//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kitshub/kitshub/internal/proof/drive"
)

// SIGTERM finishes what is in flight: a call that the hub took is answered as if nothing were, never by a 5xx.
func TestStopFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	binary, err := exec.LookPath("kitshub")
	if err != nil {
		t.Fatal(err)
	}
	listen, err := drive.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	h, err := drive.Start(t.Context(), drive.Options{Binary: binary, DataDir: t.TempDir(), Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	const callers, before = 6, 30
	var (
		all    sync.WaitGroup
		acked  atomic.Int64
		enough = make(chan struct{})
		once   sync.Once
	)
	ctx, cancel := context.WithTimeout(context.Background(), 2*scriptPatience)
	defer cancel()
	for i := range callers {
		all.Go(func() {
			c := drive.NewClient(h.URL, 1)
			defer c.Close()
			for j := 0; ; j++ {
				_, err := c.SignUp(ctx, drive.SignUp{Email: fmt.Sprintf("s%d-%d@example.com", i, j), CompanyName: "A", ContactName: "B", Plan: "enterprise"}, "")
				var p *drive.Problem
				switch {
				case err == nil:
					if acked.Add(1) == before {
						once.Do(func() { close(enough) })
					}
					continue
				case errors.As(err, &p) && p.Status >= http.StatusInternalServerError:
					t.Errorf("a call during the stop was answered by %v", p)
				case errors.As(err, &p):
					t.Errorf("refused: %v", p)
				}
				once.Do(func() { close(enough) }) // the door is closed
				return
			}
		})
	}
	<-enough
	if err := h.Stop(); err != nil {
		t.Error(err)
	}
	all.Wait()
	if acked.Load() < before {
		t.Errorf("only %d sign-ups before the stop", acked.Load())
	}
}
