//go:build unix

package placemodel

import (
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/kitshub/kitshub/internal/proof/placekit"
)

// The states that moves of this check lead to.
const (
	pending    = "pending"
	inProgress = "in_progress"
	cancelled  = "cancelled"
)

// customer is one request as it was acknowledged.
type customer struct {
	placekit.Waiting
	email, token string
	state        string
	busy         bool // somebody moves it
	doubtful     bool // a move of it got no answer
}

// model is the reference: what was acknowledged, and nothing cleverer than sorting.
type model struct {
	mu   sync.Mutex
	byID map[string]*customer
	in   map[string][]*customer // by state, in any order
	lost map[string]bool        // emails of sign-ups without an answer
}

func newModel() *model {
	return &model{byID: map[string]*customer{}, in: map[string][]*customer{}, lost: map[string]bool{}}
}

// add takes a new customer.
func (m *model) add(c *customer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.byID[c.ID] = c
	m.put(c, c.state)
}

// put moves a customer between the lists.
func (m *model) put(c *customer, state string) {
	if was := m.in[c.state]; len(was) > 0 {
		if i := slices.Index(was, c); i >= 0 {
			was[i] = was[len(was)-1]
			m.in[c.state] = was[:len(was)-1]
		}
	}
	c.state = state
	m.in[state] = append(m.in[state], c)
}

// reserve gives somebody in that state whom nobody moves at present, or nil.
func (m *model) reserve(g *rand.Rand, state string) *customer {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.in[state]
	for range min(len(list), 20) {
		if c := list[g.IntN(len(list))]; !c.busy && !c.doubtful {
			c.busy = true
			return c
		}
	}
	return nil
}

// settle ends a move: acknowledged, with what it led to.
func (m *model) settle(c *customer, state string, priority int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.busy, c.Priority = false, priority
	m.put(c, state)
}

// doubt ends a move without an answer.
func (m *model) doubt(c *customer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.busy, c.doubtful = false, true
}

// free ends a move that was refused.
func (m *model) free(c *customer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.busy = false
}

// certain reports whether nothing is doubtful.
func (m *model) certain() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.lost) > 0 {
		return false
	}
	for _, c := range m.byID {
		if c.doubtful {
			return false
		}
	}
	return true
}

// line gives who is pending, in order.
func (m *model) line() []*customer {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := slices.Clone(m.in[pending])
	slices.SortFunc(all, func(a, b *customer) int { return placekit.Compare(a.Waiting, b.Waiting) })
	return all
}

// head is the first of the line, or nil.
func (m *model) head() *customer {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.in[pending]) == 0 {
		return nil
	}
	return slices.MinFunc(m.in[pending], func(a, b *customer) int { return placekit.Compare(a.Waiting, b.Waiting) })
}

func (m *model) waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.in[pending])
}
