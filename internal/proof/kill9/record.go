package kill9

import (
	"sync"

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

// promise is one acknowledged sign-up.
type promise struct {
	drive.SignUp
	id    string
	token string
	file  string // of the tenant's database, once asked for
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
	unanswered int           // calls of this life that got no answer
	hurry      chan struct{} // closed: call without pause
}

func newTraffic() *traffic {
	t := &traffic{hurry: make(chan struct{})}
	t.changed = sync.NewCond(&t.mu)
	return t
}

// open begins a life of the hub.
func (t *traffic) open() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.up, t.unanswered, t.hurry = true, 0, make(chan struct{})
	t.changed.Broadcast()
}

// volley has every worker call at once and go on without pause.
func (t *traffic) volley() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.hurry)
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

// hurrying gives the channel of this life.
func (t *traffic) hurrying() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.hurry
}

func (t *traffic) isOver() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.over
}
