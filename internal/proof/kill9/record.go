package kill9

import (
	"slices"
	"sync"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/drive"
)

// record is what the outside knows: who was promised a place.
type record struct {
	mu       sync.Mutex
	acked    []*promise
	survived map[string]bool // emails whose sign-up got no answer and turned out to have had its effect
	replayed int             // retries with a key that were answered from the first call
	retried  int             // retries with a key
}

// firstOf gives the acknowledged sign-ups to a plan that the killer has not passed by, in their order.
func (r *record) firstOf(plan string) []*promise {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*promise
	for _, p := range r.acked {
		if p.Plan == plan && !p.passed {
			out = append(out, p)
		}
	}
	return out
}

// promise is one acknowledged sign-up.
type promise struct {
	drive.SignUp
	id     string
	token  string
	place  string // of the tenant's database, once asked for
	passed bool   // seen to be over or in an operator's hands; only the killer's own note
}

// of gives the acknowledged sign-up of an email, or nil.
func (r *record) of(email string) *promise {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.acked, func(p *promise) bool { return p.Email == email })
	if i < 0 {
		return nil
	}
	return r.acked[i]
}

func (r *record) ack(s drive.SignUp, got *drive.SignedUp) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acked = append(r.acked, &promise{SignUp: s, id: got.Request.ID, token: got.StatusToken})
}

func (r *record) survive(email string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.survived[email] = true
}

func (r *record) retry(replayed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.retried++
	if replayed {
		r.replayed++
	}
}

func (r *record) promises() []*promise {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*promise(nil), r.acked...)
}

// traffic lets the workers know when the hub is up and when to hurry, and counts the calls that are under way.
type traffic struct {
	mu         sync.Mutex
	changed    *sync.Cond
	up         bool
	over       bool // no more calls at all
	underway   int
	unanswered int // calls of this life that got no answer
	room       int // sign-ups that may still come in this life before the volley
	roomByLife int
	hurry      chan struct{} // closed: call without pause
	hurrying   bool
}

// comeByLife bounds the backlog: a hub that dies every other moment works off less than it takes in, and a line that only grows shows less
// than one that moves. A database on Postgres costs some fifty times the work of a file.
var comeByLife = map[string]int{check.SQLite: 16, check.Postgres: 4}

func newTraffic(engine string) *traffic {
	t := &traffic{hurry: make(chan struct{}), roomByLife: comeByLife[engine]}
	t.changed = sync.NewCond(&t.mu)
	return t
}

// open begins a life of the hub.
func (t *traffic) open() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.up, t.unanswered, t.room, t.hurry, t.hurrying = true, 0, t.roomByLife, make(chan struct{}), false
	t.changed.Broadcast()
}

// volley has every worker call at once and go on without pause.
func (t *traffic) volley() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hurryUp()
}

func (t *traffic) hurryUp() {
	if !t.hurrying {
		t.hurrying = true
		close(t.hurry)
	}
}

// come takes one of this life's sign-ups; where there is none left it gives what to wait for.
func (t *traffic) come() (wait <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.room > 0 || t.hurrying {
		t.room--
		return nil
	}
	return t.hurry
}

// shut waits until a call is under way and lets no further one begin, so that what is counted as unanswered was in the hub's hands, and is no
// knock at a door that is closed already.
func (t *traffic) shut() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.underway == 0 && !t.over {
		t.changed.Wait()
	}
	t.up = false
}

// settle waits until every call has ended and says how many got no answer.
func (t *traffic) settle() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.underway > 0 {
		t.changed.Wait()
	}
	return t.unanswered
}

// end lets the workers go.
func (t *traffic) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.hurryUp()
	t.changed.Broadcast()
}

// enter waits for a living hub and begins a call; false means that the work is over.
func (t *traffic) enter() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for !t.up && !t.over {
		t.changed.Wait()
	}
	if t.over {
		return false
	}
	t.underway++
	t.changed.Broadcast()
	return true
}

func (t *traffic) leave(answered bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.underway--
	if !answered {
		t.unanswered++
	}
	t.changed.Broadcast()
}

// inAHurry gives the channel of this life.
func (t *traffic) inAHurry() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.hurry
}

func (t *traffic) isOver() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.over
}
