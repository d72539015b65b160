//go:build unix

package place

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/kitshub/kitshub/internal/proof/placekit"
	"github.com/kitshub/kitshub/internal/queue"
)

// slot holds one of the n who wait; when its customer is claimed the next who joins takes it, so that readers always find n ids.
type slot struct {
	w atomic.Pointer[placekit.Waiting]
}

func (s *slot) set(w *placekit.Waiting) { s.w.Store(w) }
func (s *slot) get() *placekit.Waiting  { return s.w.Load() }

// mover moves the line: whoever is first is claimed, and somebody joins. It keeps what changed until the database and Redis have it, too.
type mover struct {
	idx      *queue.Index
	slots    []slot
	fifo     [queue.Classes][]int32 // slots in the order of each class
	r        *rand.Rand
	last     int64
	sabotage bool
	moves    int

	left, came map[string]placekit.Waiting
}

func joined(w placekit.Waiting, version int64) queue.Change {
	return queue.Change{ID: w.ID, Version: version, Pending: true, Way: queue.Operator, Key: queue.Key{Priority: w.Priority, EnqueuedAt: w.At}}
}

func (m *mover) begin(line *placekit.Line) {
	for _, i := range line.Order {
		p := line.All[i].Priority
		m.fifo[p] = append(m.fifo[p], i)
	}
	m.last = time.Now().Add(-time.Minute).UnixMicro()
	m.taken()
}

// weight is what the mover itself holds, in MB.
func (m *mover) weight() float64 {
	n := 0
	for _, f := range m.fifo {
		n += cap(f)
	}
	return float64(4*n) / mb
}

// taken begins a new record of changes.
func (m *mover) taken() {
	m.left, m.came = map[string]placekit.Waiting{}, map[string]placekit.Waiting{}
}

// losesOneIn is the planted bug's rate.
const losesOneIn = 100

func (m *mover) apply(c queue.Change) {
	m.moves++
	if m.sabotage && m.moves%losesOneIn == 0 {
		return
	}
	m.idx.Apply(c)
}

// move claims the head and has somebody join: two changes.
func (m *mover) move() {
	p := queue.Classes - 1
	for p > 0 && len(m.fifo[p]) == 0 {
		p--
	}
	i := m.fifo[p][0]
	m.fifo[p] = m.fifo[p][1:]
	gone := m.slots[i].get()
	m.last += 50
	w := &placekit.Waiting{ID: placekit.ID("req_", m.last, m.r), Priority: placekit.Class(m.r), At: m.last}
	m.slots[i].set(w) // before the claim, so that a reader who draws the slot finds somebody who waits or waited a moment ago
	m.apply(joined(*w, 1))
	m.apply(queue.Change{ID: gone.ID, Version: 2})
	m.fifo[w.Priority] = append(m.fifo[w.Priority], i)
	if _, new := m.came[gone.ID]; new {
		delete(m.came, gone.ID)
	} else {
		m.left[gone.ID] = *gone
	}
	m.came[w.ID] = *w
}

// The pace beside the reads: joins and claims.
const (
	movesPerS = 20_000
	tickEvery = time.Millisecond
)

// keepMoving moves at the promised pace until ctx ends and gives how many joins and claims a second it came to. What it could not do in
// time it makes up for.
func (m *mover) keepMoving(ctx context.Context) float64 {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	begun, done := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return float64(done) / time.Since(begun).Seconds()
		case <-tick.C:
			for due := int(time.Since(begun).Seconds() * movesPerS); done < due; done += 2 {
				m.move()
			}
		}
	}
}
