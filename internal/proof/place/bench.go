//go:build unix

package place

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/placekit"
	"github.com/kitshub/kitshub/internal/proof/progress"
	"github.com/kitshub/kitshub/internal/queue"
)

// bench takes the turns.
type bench struct {
	res   *Result
	o     check.Options
	line  *placekit.Line
	mover *mover
	world *placekit.World
	redis *redis // or nil
}

// round is what one turn of all measured.
type round struct {
	reads, p50, p99, moves  float64
	sql, sqlP50             float64
	redis, crowd, pipelined float64
	inserted                float64
}

func (b *bench) run(ctx context.Context) error {
	each := longRound
	if b.o.N < fewIn {
		each = short
	}
	bar := progress.New(b.o.Log, "rounds", rounds)
	defer bar.Close()
	moved := 0.0
	all := make([]round, 0, rounds)
	for i := range rounds {
		r := round{}
		ids := b.draw(uint64(i)) //nolint:gosec // small
		b.mover.plan(int(each.Seconds() * movesPerS / 2))
		before := heap()
		b.inProcess(ctx, each, ids, &r)
		if i == 0 {
			moved = heap() - before
		}
		b.middle(&r, i)
		if err := b.bringAcross(ctx); err != nil {
			return err
		}
		if err := b.bySQL(ctx, &r); err != nil {
			return err
		}
		if b.redis != nil {
			if err := b.byRedis(each, &r); err != nil {
				return err
			}
		}
		fmt.Fprintf(b.o.Log, "round %d: %.0f reads/s p50 %.2f µs p99 %.2f µs beside %.0f moves/s; SQL %.1f/s; Redis %.0f/s, by a crowd %.0f/s, pipelined %.0f/s; %.0f inserts/s\n",
			i+1, r.reads, r.p50, r.p99, r.moves, r.sql, r.redis, r.crowd, r.pipelined, r.inserted)
		all = append(all, r)
		bar.Add(1)
	}
	b.res.IndexMBMoved = round2(b.res.IndexMB + max(0, moved))
	b.sum(all)
	return nil
}

func (b *bench) sum(all []round) {
	of := func(f func(round) float64) float64 {
		var x []float64
		for _, r := range all {
			x = append(x, f(r))
		}
		return check.Median(x)
	}
	res := b.res
	res.PerS, res.P50US, res.P99US = round2(of(func(r round) float64 { return r.reads })), of(func(r round) float64 { return r.p50 }), of(func(r round) float64 { return r.p99 })
	res.MovesPerS, res.InsertsPerS = round2(of(func(r round) float64 { return r.moves })), round2(of(func(r round) float64 { return r.inserted }))
	res.SQLPerS, res.SQLP50MS = round2(of(func(r round) float64 { return r.sql })), round2(of(func(r round) float64 { return r.sqlP50 }))
	res.RatioSQL = round2(of(func(r round) float64 { return r.reads / r.sql }))
	if b.redis != nil {
		ratio := func(f func(round) float64) *float64 {
			x := round2(of(func(r round) float64 { return r.reads / f(r) }))
			return &x
		}
		res.RatioRedis = ratio(func(r round) float64 { return r.redis })
		res.RatioCrowd = ratio(func(r round) float64 { return r.crowd })
		res.RatioPipelined = ratio(func(r round) float64 { return r.pipelined })
		res.RedisPerS, res.RedisCrowd = round2(of(func(r round) float64 { return r.redis })), round2(of(func(r round) float64 { return r.crowd }))
		res.RedisPipelined = round2(of(func(r round) float64 { return r.pipelined }))
	}
}

// timedEvery is which reads are timed one by one; timing all would mostly measure the clock.
const timedEvery = 32

// inProcess reads with a goroutine for each list of ids while the line moves.
func (b *bench) inProcess(ctx context.Context, each time.Duration, ids [][]string, r *round) {
	readers := len(ids)
	ctx, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	var moving, reading sync.WaitGroup
	moving.Go(func() { r.moves = b.mover.keepMoving(ctx) })
	counts, took := make([]int, readers), make([][]float64, readers)
	begun := time.Now()
	for k := range readers {
		reading.Go(func() { counts[k], took[k] = b.read(ctx, ids[k]) })
	}
	reading.Wait()
	elapsed := time.Since(begun).Seconds()
	moving.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	r.reads, r.p50, r.p99 = float64(total)/elapsed, placekit.Percentile(all, 50), placekit.Percentile(all, 99)
}

// drawnAtMost is how many ids each reader has for a round, of all who wait. They lie side by side, as whoever asks for a place has the id at hand; what is
// measured is the index and not the finding of ids in memory.
const drawnAtMost = 1 << 18

func (b *bench) draw(seed uint64) [][]string {
	all := make([][]string, b.res.Readers)
	for k := range all {
		r := rand.New(rand.NewPCG(seed, uint64(k))) //nolint:gosec // small
		ids := make([]string, min(drawnAtMost, len(b.mover.slots)))
		var text strings.Builder
		for range ids {
			text.WriteString(b.mover.slots[r.IntN(len(b.mover.slots))].ID)
		}
		size := text.Len() / len(ids)
		for i := range ids {
			ids[i] = text.String()[i*size : (i+1)*size]
		}
		all[k] = ids
	}
	return all
}

// read asks for places of customers drawn at random; it gives how many and how long the timed ones took, in microseconds.
func (b *bench) read(ctx context.Context, ids []string) (n int, took []float64) {
	at := 0
	next := func() string {
		if at++; at >= len(ids) {
			at = 0
		}
		return ids[at]
	}
	for ctx.Err() == nil {
		for range timedEvery - 1 {
			b.mover.idx.Place(next())
		}
		id := next()
		begun := time.Now()
		p, ok := b.mover.idx.Place(id)
		took = append(took, float64(time.Since(begun).Nanoseconds())/1000)
		if n += timedEvery; ok && (p.Position < 1 || p.Position > len(b.mover.slots)+1) {
			b.res.Violate("%s stands at %d of %d", id, p.Position, len(b.mover.slots))
		}
	}
	return n, took
}

// middle puts customers into the middle of the line, one by one, and takes them out again.
func (b *bench) middle(r *round, number int) {
	g := rand.New(rand.NewPCG(uint64(number), 8)) //nolint:gosec // the same each time
	n := min(insertsAtMost, max(insertsAtLeastPerRun, b.o.N/rounds))
	news := make([]queue.Change, n)
	for i := range news {
		w := b.line.All[g.IntN(len(b.line.All))]
		w.ID = placekit.ID("req_", w.At, g)
		news[i] = joined(w, 1)
	}
	runtime.GC() // what the drawing left
	begun := time.Now()
	for _, c := range news {
		b.mover.idx.Apply(c)
	}
	r.inserted = float64(n) / time.Since(begun).Seconds()
	for _, c := range news {
		b.mover.idx.Apply(queue.Change{ID: c.ID, Version: 2})
	}
}

// bringAcross makes the changes of this round in the database and in Redis.
func (b *bench) bringAcross(ctx context.Context) error {
	left, came := b.mover.difference()
	err := b.world.Replace(ctx, left, came)
	if b.redis != nil {
		err = errors.Join(err, b.redis.replace(left, came))
	}
	return err
}

// bySQL asks the two queries for customers drawn at random and compares.
func (b *bench) bySQL(ctx context.Context, r *round) error {
	n := comparedBySQL
	if b.o.N < fewIn {
		n = comparedBySQLAtFew
	}
	var took []float64
	var total time.Duration
	for range n {
		id := b.someone()
		begun := time.Now()
		want, err := b.world.PlaceBySQL(ctx, id)
		d := time.Since(begun)
		if err != nil {
			return err
		}
		total += d
		took = append(took, float64(d.Microseconds())/1000)
		b.compare("SQL", id, want)
	}
	r.sql, r.sqlP50 = float64(n)/total.Seconds(), check.Median(took)
	return nil
}

func (b *bench) byRedis(each time.Duration, r *round) error {
	for range comparedByRedis / 10 {
		ids := make([]string, 10)
		for i := range ids {
			ids[i] = b.someone()
		}
		ranks, err := b.redis.ranks(ids)
		if err != nil {
			return err
		}
		for i, rank := range ranks {
			b.compare("Redis", ids[i], rank+1)
		}
	}
	ids := make([]string, 1<<14)
	for i := range ids {
		ids[i] = b.someone()
	}
	var err error
	if r.redis, err = b.redis.rate(ids, each/2, b.res.Readers, 1); err != nil {
		return err
	}
	if r.crowd, err = b.redis.rate(ids, each/2, redisCrowd, 1); err != nil {
		return err
	}
	r.pipelined, err = b.redis.rate(ids, each/2, redisCrowd, pipelined)
	return err
}

func (b *bench) someone() string {
	return b.mover.slots[b.mover.r.IntN(len(b.mover.slots))].ID
}

func (b *bench) compare(with, id string, want int) {
	b.res.Compared++
	p, ok := b.mover.idx.Place(id)
	if !ok {
		b.res.Violate("%s is at place %d by %s and not in the index", id, want, with)
	} else if p.Position != want {
		b.res.Violate("%s is at place %d by %s and at %d by the index", id, want, with, p.Position)
	}
}
