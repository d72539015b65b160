//go:build unix

// Package place shows what the index of the line (internal/queue) costs and gives, in process, with n pending: reads per second and their p99
// beside 20,000 joins and claims a second; what it is ahead of the two SQL queries (own row, then count(*) of who is ahead) in the hub's own
// schema, and of Redis' ZRANK over loopback; its memory; and inserts into the middle.
//
// The three hold the same line and take turns: the index is read while it moves, then the same changes are brought into the database and into
// Redis, and places drawn at random are asked of all three. They must agree.
//
// Redis is asked in three ways: by as many connections as there are readers of the index, each with one question at a time, which is the
// same load with a network between (ratio_redis); by a crowd of 16 such connections (ratio_redis_crowd); and by the crowd with a hundred questions in
// one packet (ratio_redis_pipelined), which is the most that it can do. It stands still meanwhile, and the client is a few lines that encode
// nothing while it is measured.
//
// The planted bug: one change in a hundred never reaches the index, as if a notification had been lost.
package place

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/placekit"
	"github.com/kitshub/kitshub/internal/queue"
)

// Result is the JSON line.
type Result struct {
	check.Report
	Readers   int     `json:"readers"` // of the index, and connections to Redis
	PerS      float64 `json:"reads_per_s"`
	P99US     float64 `json:"p99_us"`
	P50US     float64 `json:"p50_us"`
	MovesPerS float64 `json:"moves_per_s"` // joins and claims beside the reads
	RatioSQL  float64 `json:"ratio_sql"`
	SQLPerS   float64 `json:"sql_reads_per_s"`
	SQLP50MS  float64 `json:"sql_p50_ms"`

	RatioRedis     *float64 `json:"ratio_redis"` // null where there is no Redis
	RatioCrowd     *float64 `json:"ratio_redis_crowd"`
	RatioPipelined *float64 `json:"ratio_redis_pipelined"`
	RedisPerS      float64  `json:"redis_reads_per_s"`
	RedisCrowd     float64  `json:"redis_crowd_reads_per_s"`
	RedisPipelined float64  `json:"redis_pipelined_reads_per_s"`
	NoRedis        string   `json:"no_redis,omitempty"` // why

	IndexMB      float64 `json:"index_mb"`
	IndexMBMoved float64 `json:"index_mb_moved"` // after all the joins and claims, with its tombstones
	BuildMS      int64   `json:"build_ms"`
	InsertsPerS  float64 `json:"inserts_per_s"` // into the middle, one by one
	Compared     int     `json:"compared"`
	SeedMS       int64   `json:"seed_ms"`
}

const (
	rounds    = 5
	fewIn     = 100_000 // with fewer pending the rounds are short
	longRound = 2 * time.Second
	short     = 200 * time.Millisecond

	minReads, maxP99US   = 2e6, 5.0
	minSQL, minRedis     = 50_000.0, 40.0
	maxMB, minInserts    = 120.0, 200_000.0
	comparedBySQL        = 4 // each costs the better part of a second at a million
	comparedBySQLAtFew   = 50
	comparedByRedis      = 2000
	mb                   = 1 << 20
	insertsAtMost        = 200_000
	insertsAtLeastPerRun = 1000
)

// Run measures with o.N pending.
func Run(ctx context.Context, o check.Options) (_ *Result, err error) {
	res := &Result{Readers: runtime.GOMAXPROCS(0)}
	res.Begin("place", o)
	w, err := placekit.NewWorld(ctx, withoutSabotage(o))
	defer func() { err = errors.Join(err, w.Close()) }()
	if err != nil {
		return res, err
	}
	line := placekit.NewLine(o.N, o.Seed)
	begun := time.Now()
	if err := w.Seed(ctx, line, 0); err != nil {
		return res, err
	}
	res.SeedMS = time.Since(begun).Milliseconds()
	redis, err := startRedis(ctx, o.Log)
	switch {
	case errors.Is(err, errNoRedis):
		res.NoRedis = err.Error()
		fmt.Fprintln(o.Log, err)
	case err != nil:
		return res, err
	default:
		w.Defer(redis.stop)
		if err := redis.load(line.All); err != nil {
			return res, err
		}
	}
	m := &mover{sabotage: o.Sabotage, r: rand.New(rand.NewPCG(uint64(o.Seed), 7))} //nolint:gosec // the same seed shall give the same moves
	if err := res.build(line, m); err != nil {
		return res, err
	}
	b := &bench{res: res, o: o, line: line, mover: m, world: w, redis: redis}
	if err := b.run(ctx); err != nil {
		return res, err
	}
	if m.idx.Len() == o.N || o.Sabotage {
		res.Done = o.N
	}
	if o.Strict {
		res.demands()
	}
	return res, nil
}

// withoutSabotage is for the world's binary, which only makes the schema here.
func withoutSabotage(o check.Options) check.Options {
	o.Sabotage = false
	return o
}

// build reads the line into an index as a hub does, and weighs it.
func (r *Result) build(line *placekit.Line, m *mover) error {
	m.slots = slices.Clone(line.All)
	before := heap()
	begun := time.Now()
	m.idx = queue.New()
	err := m.idx.Reset(func(add func(queue.Change)) error {
		for _, i := range line.Order {
			add(joined(line.All[i], 1))
		}
		return nil
	})
	r.BuildMS = time.Since(begun).Milliseconds()
	m.begin(line)
	r.IndexMB = round2(heap() - before - m.weight())
	return err
}

// heap is what is reachable, in MB.
func heap() float64 {
	runtime.GC()
	runtime.GC() // what the first one's finalizers and pools let go
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return float64(s.HeapAlloc) / mb
}

func (r *Result) demands() {
	least := func(what string, got, want float64) {
		if got < want {
			r.Violate("%s of %.4g, less than %.4g", what, got, want)
		}
	}
	most := func(what string, got, want float64) {
		if got > want {
			r.Violate("%s of %.4g, more than %.4g", what, got, want)
		}
	}
	least("reads per second", r.PerS, minReads)
	most("a p99 in microseconds", r.P99US, maxP99US)
	least("a ratio to SQL", r.RatioSQL, minSQL)
	if r.RatioRedis != nil {
		least("a ratio to Redis", *r.RatioRedis, minRedis)
	}
	most("an index in MB", max(r.IndexMB, r.IndexMBMoved), maxMB)
	least("inserts into the middle per second", r.InsertsPerS, minInserts)
}

func round2(x float64) float64 { return float64(int(100*x+0.5)) / 100 }
