package hub

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// waiters remembers who waits, as much of it as a status shows, by the hash of their token. It keeps two generations: when the younger is
// full the elder is dropped, so what is used stays and memory is bounded.
//
// Many thousands wait and each asks again and again. A garbage collector that had to follow pointers to each of them would take as much of
// the hub's time as their questions do, so they stand in tables without pointers, and what they are called in a few long texts.
type waiters struct {
	mu           sync.RWMutex
	young, elder *generation
}

// generationSize is how many tokens one generation holds; one takes about 250 bytes.
const generationSize = 1 << 17

// textSize is the length of one text of a generation.
const textSize = 256 << 10

// tokenHash is what Tokens gives.
type tokenHash [32]byte

type generation struct {
	puts  int // more than there are slots where somebody came back in another version
	slots map[tokenHash]slot
	kinds []kind
	texts []*strings.Builder // each of them as long as it will ever be, so that what was read from it stays where it is
}

// slot is somebody who waits.
type slot struct {
	enqueued int64 // microseconds since 1970
	version  int64
	kind     uint32
	text     uint32    // which
	from     uint32    // where in it id, email, company and contact stand, one after the other
	length   [4]uint32 // of each
}

// kind is what many have in common.
type kind struct {
	plan     string
	way      Way
	priority int
}

// get gives what a status shows of the request, and its version; the rest of it is not remembered.
func (c *waiters) get(hash tokenHash) (r Request, ok bool) {
	c.mu.RLock()
	r, ok = c.young.get(hash)
	elder := false
	if !ok {
		r, elder = c.elder.get(hash)
	}
	c.mu.RUnlock()
	if elder {
		c.put(hash, &r)
	}
	return r, ok || elder
}

// put remembers a pending request.
func (c *waiters) put(hash tokenHash, r *Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young == nil || c.young.puts >= generationSize {
		c.young, c.elder = &generation{slots: map[tokenHash]slot{}}, c.young
	}
	c.young.put(hash, r)
}

func (g *generation) get(hash tokenHash) (r Request, ok bool) {
	if g == nil {
		return r, false
	}
	s, ok := g.slots[hash]
	if !ok {
		return r, false
	}
	rest := g.texts[s.text].String()[s.from:]
	next := func(i int) (word string) {
		word, rest = rest[:s.length[i]], rest[s.length[i]:]
		return word
	}
	k := g.kinds[s.kind]
	r.ID, r.Customer.Email, r.Customer.CompanyName, r.Customer.ContactName = next(0), next(1), next(2), next(3)
	r.Plan, r.Way, r.Priority = k.plan, k.way, k.priority
	r.State, r.EnqueuedAt, r.Version = Pending, time.UnixMicro(s.enqueued).UTC(), s.version
	return r, true
}

func (g *generation) put(hash tokenHash, r *Request) {
	s := slot{enqueued: r.EnqueuedAt.UnixMicro(), version: r.Version, kind: g.kindOf(r)}
	words := [...]string{r.ID, r.Customer.Email, r.Customer.CompanyName, r.Customer.ContactName}
	length := 0
	for i, w := range words {
		s.length[i] = uint32(len(w)) //nolint:gosec // texts are bounded where they come in
		length += len(w)
	}
	text := g.room(length)
	s.text, s.from = uint32(len(g.texts)-1), uint32(text.Len()) //nolint:gosec // both are bounded by generationSize
	for _, w := range words {
		text.WriteString(w)
	}
	g.slots[hash] = s
	g.puts++
}

// room gives a text, the last, that has room for so many bytes more.
func (g *generation) room(n int) *strings.Builder {
	if last := len(g.texts) - 1; last >= 0 && g.texts[last].Cap()-g.texts[last].Len() >= n {
		return g.texts[last]
	}
	b := &strings.Builder{}
	b.Grow(max(n, textSize))
	g.texts = append(g.texts, b)
	return b
}

func (g *generation) kindOf(r *Request) uint32 {
	k := kind{r.Plan, r.Way, r.Priority}
	i := slices.Index(g.kinds, k)
	if i < 0 {
		i = len(g.kinds)
		g.kinds = append(g.kinds, k)
	}
	return uint32(i) //nolint:gosec // plans times priorities
}
