package hub

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kitshub/kitshub/internal/queue"
)

// The line in memory. Each hub keeps an order-statistic index of all pending requests, so that a place costs a microsecond at any length.
// It is built from the database at the start and kept true by the committed changes: this hub's own are applied before the use case
// returns (so a read after a write sees it), those of other hubs come through a feed. Every change carries the version of its row and a
// greater version wins, so it does not matter in which order changes arrive: commit order is not the order of sequence numbers or clocks.
//
// The index is either sound or not used: after a lost feed, an unknown outcome of a commit or a difference found by the audit below it is
// rebuilt, and until then places come from the database.

// LineStore keeps what the index is built from.
type LineStore interface {
	// EachPending gives every pending request in the order of the line.
	EachPending(ctx context.Context, each func(queue.Change)) error
	// SumPending counts the pending requests and adds up their versions: equal to the index's own sums if that is true.
	SumPending(ctx context.Context) (n int, versions int64, err error)
	// AnnounceLine tells the other hubs on this database of the changes, at the moment the transaction commits and only then. On an engine
	// with one hub it does nothing.
	AnnounceLine(ctx context.Context, changes []queue.Change) error
}

const (
	lineAuditEvery = time.Minute     // how often the index is held against the database
	lineStale      = 3 * time.Second // a feed that was silent for longer is not trusted
	lineRetry      = time.Second
	lineAgeEvery   = 5 * time.Second // how often QUEUE_AGING is looked at, where it is set
)

type line struct {
	idx     *queue.Index
	sound   atomic.Bool
	fed     atomic.Bool  // a feed from other hubs exists, so soundness also needs its heartbeat
	heard   atomic.Int64 // unix microseconds by the database's clock: all that committed before was heard
	heardAt atomic.Int64 // the same moment by this process's monotonic clock, in nanoseconds since start
	rebuild chan struct{}
	kept    atomic.Bool   // somebody builds it
	built   chan struct{} // closed when it was built for the first time
	once    sync.Once
}

var processStart = time.Now()

func newLine() *line {
	return &line{idx: queue.New(), rebuild: make(chan struct{}, 1), built: make(chan struct{})}
}

func wayOf(w Way) queue.Way {
	if w == Automatic {
		return queue.Automatic
	}
	return queue.Operator
}

// lineChange is what a written request means for the line.
func lineChange(r *Request) queue.Change {
	return queue.Change{
		ID: r.ID, Version: r.Version, Pending: r.State == Pending, Way: wayOf(r.Way),
		Key: queue.Key{Priority: r.Priority, EnqueuedAt: r.EnqueuedAt.UnixMicro()},
	}
}

// firstBuild bounds how long a look waits for the index to be built after a start: a million waiting take a second or a few, and as many
// counts in the database at once would hold the building up.
const firstBuild = 5 * time.Second

// await waits until the index was built for the first time, or for a while. It is called outside of any transaction.
func (l *line) await(ctx context.Context) {
	if !l.kept.Load() {
		return
	}
	select {
	case <-l.built:
		return
	default:
	}
	t := time.NewTimer(firstBuild)
	defer t.Stop()
	select {
	case <-l.built:
	case <-t.C:
	case <-ctx.Done():
	}
}

// usable reports whether the index may answer, and as of when.
func (l *line) usable() (asOf time.Time, ok bool) {
	if !l.sound.Load() {
		return time.Time{}, false
	}
	if !l.fed.Load() {
		return time.Now().UTC().Truncate(time.Microsecond), true
	}
	if time.Since(processStart)-time.Duration(l.heardAt.Load()) > lineStale {
		return time.Time{}, false
	}
	return time.UnixMicro(l.heard.Load()).UTC(), true
}

// place gives where a request of this version stands; ok is false when the index may not answer or knows another version.
func (l *line) place(id string, version int64) (queue.Place, time.Time, bool) {
	asOf, ok := l.usable()
	if !ok {
		return queue.Place{}, asOf, false
	}
	p, ok := l.idx.Place(id)
	return p, asOf, ok && p.Version == version
}

// waiting counts who waits of one way.
func (l *line) waiting(w Way) (n int) {
	c := l.idx.View().Counts()
	for p := range c {
		n += c[p][wayOf(w)]
	}
	return n
}

// aheadIn makes the counts of a place.
func aheadIn(p queue.Place) Ahead {
	a := Ahead{All: p.Ahead, SameWay: p.AheadSameWay}
	for i := p.Key.Priority + 1; i < queue.Classes; i++ {
		a.Higher += p.AheadByClass[i]
	}
	return a
}

// aheadOf counts who stands before a pending request: from the index where that is sound and knows the row as the transaction sees it, else
// from the database.
func (s *Service) aheadOf(ctx context.Context, tx Tx, r *Request) (Ahead, time.Time, error) {
	if p, asOf, ok := s.line.place(r.ID, r.Version); ok {
		return aheadIn(p), asOf, nil
	}
	a, err := tx.Ahead(ctx, r.Key(), r.Way)
	return a, tx.Now(), err
}

// aheadOnJoining counts who stands before a request that this transaction is about to commit.
func (s *Service) aheadOnJoining(ctx context.Context, tx Tx, r *Request) (Ahead, error) {
	if _, ok := s.line.usable(); ok {
		c := lineChange(r)
		return aheadIn(s.line.idx.View().Rank(c.Key, c.ID, c.Way)), nil
	}
	return tx.Ahead(ctx, r.Key(), r.Way)
}

// doubt asks for a rebuild; until it is done the index is not used.
func (l *line) doubt() {
	l.sound.Store(false)
	select {
	case l.rebuild <- struct{}{}:
	default:
	}
}

// LineChanges takes what other hubs committed. Called by the feed.
func (s *Service) LineChanges(changes []queue.Change) {
	if s.line.idx.ApplyAll(changes) > 0 {
		s.forecaster.dirty.Store(true)
		s.events.Publish(TopicLine)
	}
}

// LineHeard says that everything committed before t (by the database's clock) was heard. Called by the feed about once a second.
func (s *Service) LineHeard(t time.Time) {
	s.line.heard.Store(t.UnixMicro())
	s.line.heardAt.Store(int64(time.Since(processStart)))
}

// LineLost says that the feed may have missed something; once it listens again the index is rebuilt. Called by the feed.
func (s *Service) LineLost() { s.line.doubt() }

// KeepLine keeps the index until ctx ends: builds it, rebuilds it when it is in doubt, and holds it against the database now and then, and
// raises who has waited long where QUEUE_AGING is set. fed says that other hubs may write to the same database and a feed tells of it.
func (s *Service) KeepLine(ctx context.Context, fed bool) {
	s.line.fed.Store(fed)
	s.line.kept.Store(true)
	s.line.doubt()
	audit := time.NewTicker(lineAuditEvery)
	defer audit.Stop()
	aging := time.NewTicker(lineAgeEvery)
	defer aging.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.line.rebuild:
			if err := s.ReadLine(ctx); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "the line could not be read; places come from the database until it is", "error", err)
				time.AfterFunc(lineRetry, s.line.doubt)
			}
		case <-aging.C:
			if err := s.RaiseAged(ctx); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "who has waited long could not be raised", "error", err)
			}
		case <-audit.C:
			if err := s.AuditLine(ctx); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "the line could not be held against the database", "error", err)
			}
		}
	}
}

// ReadLine builds the index anew from the database; from then on it answers. Called by KeepLine.
func (s *Service) ReadLine(ctx context.Context) error {
	begun := time.Now()
	err := s.line.idx.Reset(func(add func(queue.Change)) error {
		return s.store.Read(ctx, func(tx Tx) error {
			s.LineHeard(tx.Now())
			return tx.EachPending(ctx, add)
		})
	})
	if err != nil {
		return err
	}
	select {
	case <-s.line.rebuild: // doubted again while it was built
		s.line.doubt()
	default:
		s.line.sound.Store(true)
	}
	s.line.once.Do(func() { close(s.line.built) })
	s.log.InfoContext(ctx, "the line is read", "pending", s.line.idx.Len(), "ms", time.Since(begun).Milliseconds())
	s.events.Publish(TopicLine)
	return nil
}

// AuditLine compares count and versions with the database. A line that changes all the while cannot be compared; the next time may do.
func (s *Service) AuditLine(ctx context.Context) error {
	if !s.line.sound.Load() {
		return nil
	}
	type sums struct {
		n        int
		versions int64
	}
	memory := func() (m sums) {
		m.n, m.versions = s.line.idx.Sum()
		return m
	}
	before := memory()
	database, err := view(ctx, s, func(tx Tx) (d sums, err error) {
		d.n, d.versions, err = tx.SumPending(ctx)
		return d, err
	})
	if err != nil {
		return err
	}
	have := memory()
	if have != before || have == database {
		return nil
	}
	s.log.ErrorContext(ctx, "the line in memory differs from the database; it is read anew", "database", database.n, "memory", have.n)
	s.line.doubt()
	return nil
}
