package hub

import (
	"crypto/sha256"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func somebody(i, version int) (tokenHash, *Request) {
	n := strconv.Itoa(i)
	return sha256.Sum256([]byte(n)), &Request{
		ID: "req_" + n, Plan: []string{"starter", "enterprise"}[i%2], Way: ways[i%2], Priority: i % 3, State: Pending, Version: int64(version),
		Customer:   CustomerRef{Email: n + "@example.com", CompanyName: strings.Repeat("ä", i%50), ContactName: ""},
		EnqueuedAt: time.UnixMicro(1_750_000_000_000_000 + int64(i)).UTC(),
	}
}

// What was remembered comes back as it was, in its latest version, also while others are remembered.
func TestWaitersRemember(t *testing.T) {
	var c waiters
	const each = 2000
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for version := 1; version <= 2; version++ {
				for i := g * each; i < (g+1)*each; i++ {
					hash, r := somebody(i, version)
					c.put(hash, r)
					if got, ok := c.get(hash); !ok || !reflect.DeepEqual(got, *r) {
						t.Errorf("got %+v, %t, want %+v", got, ok, *r)
						return
					}
				}
			}
		})
	}
	all.Wait()
	for i := range 4 * each {
		hash, r := somebody(i, 2)
		if got, ok := c.get(hash); !ok || !reflect.DeepEqual(got, *r) {
			t.Fatalf("later: got %+v, %t, want %+v", got, ok, *r)
		}
	}
	stranger, _ := somebody(4*each, 1)
	if r, ok := c.get(stranger); ok {
		t.Errorf("a stranger is known as %+v", r)
	}
}

// Who asks stays, who does not is forgotten after two generations at the latest, and one who comes back in ever new versions takes no more
// room than others.
func TestWaitersForget(t *testing.T) {
	var c waiters
	faithful, f := somebody(1, 1)
	once, o := somebody(2, 1)
	c.put(faithful, f)
	c.put(once, o)
	fickle, r := somebody(3, 1)
	for v := range 3 * generationSize {
		r.Version = int64(v)
		c.put(fickle, r)
		if v%(generationSize/2) == 0 {
			if _, ok := c.get(faithful); !ok {
				t.Fatalf("forgotten after %d, though he asked", v)
			}
		}
	}
	if _, ok := c.get(once); ok {
		t.Error("still remembered after three generations without a question")
	}
	for _, g := range []*generation{c.young, c.elder} {
		if g.puts > generationSize || len(g.texts)*textSize > generationSize*100 {
			t.Errorf("a generation of %d with %d texts", g.puts, len(g.texts))
		}
	}
}
