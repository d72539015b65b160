//go:build unix

package place

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/kitshub/kitshub/internal/proof/placekit"
	"github.com/kitshub/kitshub/internal/queue"
)

// mover moves the line: whoever is first is claimed, and somebody joins. A round's moves are drawn before it begins, so that what runs beside
// the readers is the index and not the drawing.
type mover struct {
	idx      *queue.Index
	slots    []placekit.Waiting     // who waits; when one is claimed the next who joins takes his slot
	fifo     [queue.Classes][]int32 // slots in the order of each class
	r        *rand.Rand
	last     int64
	sabotage bool
	changes  int

	planned []move
}

// move is a claim and a join.
type move struct{ gone, came placekit.Waiting }

func joined(w placekit.Waiting, version int64) queue.Change {
	return queue.Change{ID: w.ID, Version: version, Pending: true, Way: queue.Operator, Key: queue.Key{Priority: w.Priority, EnqueuedAt: w.At}}
}

func (m *mover) begin(line *placekit.Line) {
	for _, i := range line.Order {
		p := line.All[i].Priority
		m.fifo[p] = append(m.fifo[p], i)
	}
	m.last = time.Now().Add(-time.Minute).UnixMicro()
}

// weight is what the mover itself holds, in MB.
func (m *mover) weight() float64 {
	n := 0
	for _, f := range m.fifo {
		n += cap(f)
	}
	return float64(4*n) / mb
}

// plan draws so many moves; the slots are already as they will be.
func (m *mover) plan(moves int) {
	m.planned = make([]move, moves)
	for k := range m.planned {
		p := queue.Classes - 1
		for p > 0 && len(m.fifo[p]) == 0 {
			p--
		}
		i := m.fifo[p][0]
		m.fifo[p] = m.fifo[p][1:]
		m.last += 50
		w := placekit.Waiting{ID: placekit.ID("req_", m.last, m.r), Priority: placekit.Class(m.r), At: m.last}
		m.fifo[w.Priority] = append(m.fifo[w.Priority], i)
		m.planned[k] = move{m.slots[i], w}
		m.slots[i] = w
	}
}

// difference is what the planned moves change in all: who has left the line, and who came.
func (m *mover) difference() (left, came map[string]placekit.Waiting) {
	left, came = map[string]placekit.Waiting{}, map[string]placekit.Waiting{}
	for _, v := range m.planned {
		if _, ok := came[v.gone.ID]; ok {
			delete(came, v.gone.ID)
		} else {
			left[v.gone.ID] = v.gone
		}
		came[v.came.ID] = v.came
	}
	return left, came
}

// losesOneIn is the planted bug's rate.
const losesOneIn = 100

func (m *mover) apply(c queue.Change) {
	m.changes++
	if m.sabotage && m.changes%losesOneIn == 0 {
		return
	}
	m.idx.Apply(c)
}

func (m *mover) move(v move) {
	m.apply(joined(v.came, 1))
	m.apply(queue.Change{ID: v.gone.ID, Version: 2})
}

// The pace beside the reads: joins and claims.
const (
	movesPerS = 20_000
	tickEvery = time.Millisecond
)

// keepMoving makes the planned moves at the promised pace until ctx ends and gives how many joins and claims a second it came to. What it
// could not do in time it makes up for while the round lasts; the rest is done after it.
func (m *mover) keepMoving(ctx context.Context) float64 {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	begun, done := time.Now(), 0
	defer func() {
		for _, v := range m.planned[done:] {
			m.move(v)
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return float64(2*done) / time.Since(begun).Seconds()
		case <-tick.C:
			for due := int(time.Since(begun).Seconds() * movesPerS / 2); done < min(due, len(m.planned)); done++ {
				m.move(m.planned[done])
			}
		}
	}
}
