//go:build unix

package queue

import (
	"cmp"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// cpu is the processor time this process has used. On a busy machine it tells more than the clock.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const million = 1_000_000

// person makes the i-th change of a line in which one in ten is high, one in a hundred urgent, and a fifth goes the operators' way. Who came
// later has the later time and the greater id, as with the hub's own.
func person(i int) Change {
	r := rand.New(rand.NewPCG(uint64(i), 7))
	c := Change{
		ID:  testID(uint64(1_700_000_000_000+i), r),
		Key: Key{EnqueuedAt: 1_700_000_000_000_000 + 1000*int64(i)}, Version: 1, Pending: true, Way: Way(i % 5 / 4),
	}
	switch {
	case i%100 == 0:
		c.Key.Priority = 2
	case i%10 == 0:
		c.Key.Priority = 1
	}
	return c
}

// testID makes an id as hub.NewID does.
func testID(ms uint64, r *rand.Rand) string {
	d := ident{ms<<16 | r.Uint64()&0xffff, r.Uint64()}
	return string(d.appendTo(nil))
}

// people are the first million. Their ids are parts of one text, so that the garbage collector has no million strings to visit that are not
// the index's.
var people = sync.OnceValue(func() []Change {
	return compacted(million, person)
})

func compacted(n int, of func(int) Change) []Change {
	all := make([]Change, n)
	ids := make([]byte, 0, n*idLength)
	for i := range all {
		all[i] = of(i)
		ids = append(ids, all[i].ID...)
	}
	text := string(ids)
	for i := range all {
		all[i].ID = text[idLength*i : idLength*(i+1)]
	}
	return all
}

func loaded(tb testing.TB, changes []Change) *Index {
	tb.Helper()
	x := New()
	err := x.Reset(func(add func(Change)) error {
		for _, c := range changes {
			add(c)
		}
		return nil
	})
	if err != nil || x.Len() != len(changes) {
		tb.Fatal(x.Len(), err)
	}
	return x
}

// shuffledIDs is everybody's id in random order but side by side in memory: in the hub an id comes from a request just read.
var shuffledIDs = sync.OnceValue(func() []string {
	ids := make([]string, million)
	for i, c := range people() {
		ids[i] = c.ID
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	all := strings.Join(ids, "")
	for i := range ids {
		ids[i] = all[idLength*i : idLength*(i+1)]
	}
	return ids
})

// What one load costs that the processor can neither foresee nor find in its caches: a Place makes three to four of them, so its time is to
// be read as a multiple of this one.
func BenchmarkMiss(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	chain := make([]uint32, 1<<25) // 128 MB, one cycle (Sattolo)
	for i := range chain {
		chain[i] = uint32(i)
	}
	for i := len(chain) - 1; i > 0; i-- {
		j := r.IntN(i)
		chain[i], chain[j] = chain[j], chain[i]
	}
	b.ResetTimer()
	used, at := cpu(), uint32(0)
	for range b.N {
		at = chain[at]
	}
	b.ReportMetric(float64((cpu()-used).Nanoseconds())/float64(b.N), "cpu-ns/op")
	runtime.KeepAlive(at)
}

// A million ids, asked in random order by one goroutine on each core.
func BenchmarkPlace1M(b *testing.B) { benchPlaces(b, 0, false) }

// The same while 20,000 join and 20,000 are claimed each second.
func BenchmarkPlace1MWithWriters(b *testing.B) { benchPlaces(b, 20_000, false) }

// The same if each read took a read lock that each change takes for writing; the alternative that was turned down.
func BenchmarkPlace1MWithWritersLocked(b *testing.B) { benchPlaces(b, 20_000, true) }

func benchPlaces(b *testing.B, perSecond int, locked bool) {
	x := loaded(b, people())
	var lock sync.RWMutex
	place := x.Place
	write := x.Apply
	if locked {
		place = func(id string) (Place, bool) {
			lock.RLock()
			defer lock.RUnlock()
			return x.Place(id)
		}
		write = func(c Change) bool {
			lock.Lock()
			defer lock.Unlock()
			return x.Apply(c)
		}
	}
	ids := shuffledIDs()
	stop, done := make(chan struct{}), make(chan int)
	if perSecond > 0 {
		go traffic(x, write, perSecond, stop, done)
	}
	var seed, found atomic.Uint64
	var all struct {
		sync.Mutex
		took []time.Duration
	}
	runtime.GC()
	b.ResetTimer()
	used := cpu()
	b.RunParallel(func(pb *testing.PB) {
		i := int(seed.Add(1)) * 333_333 % million
		var hits uint64
		var took []time.Duration
		for n := 0; pb.Next(); n++ {
			if i++; i == million {
				i = 0
			}
			if n%64 != 0 {
				if _, ok := place(ids[i]); ok {
					hits++
				}
				continue
			}
			t := time.Now()
			_, ok := place(ids[i])
			took = append(took, time.Since(t))
			if ok {
				hits++
			}
		}
		found.Add(hits)
		all.Lock()
		all.took = append(all.took, took...)
		all.Unlock()
	})
	b.StopTimer()
	b.ReportMetric(float64((cpu()-used).Nanoseconds())/float64(b.N), "cpu-ns/op")
	elapsed := b.Elapsed().Seconds()
	b.ReportMetric(float64(b.N)/elapsed, "reads/s")
	slices.Sort(all.took)
	b.ReportMetric(float64(all.took[len(all.took)*99/100].Nanoseconds()), "p99-ns")
	b.ReportMetric(float64(all.took[len(all.took)*999/1000].Nanoseconds()), "p99.9-ns")
	if perSecond > 0 {
		close(stop)
		b.ReportMetric(float64(<-done)/elapsed, "writes/s")
	}
	if float64(found.Load()) < 0.5*float64(b.N) {
		b.Fatalf("only %d of %d were found", found.Load(), b.N)
	}
}

// traffic lets people join at the end and be claimed, those from random places of the line, at that rate each; the line stays as long.
func traffic(x *Index, write func(Change) bool, perSecond int, stop <-chan struct{}, done chan<- int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	r := rand.New(rand.NewPCG(3, 4))
	begin := time.Now()
	joined, wrote := 0, 0
	for {
		select {
		case <-stop:
			done <- wrote
			return
		case <-tick.C:
		}
		due := int(time.Since(begin).Seconds() * float64(perSecond))
		for ; joined < due; joined++ {
			write(person(million + joined))
			v := x.View()
			e, _ := v.At(1 + r.IntN(v.Len()))
			write(Change{ID: e.ID, Version: 2})
			wrote += 2
		}
	}
}

// releases are people who belong anywhere in the line.
func releases(n int) []Change {
	r := rand.New(rand.NewPCG(5, 6))
	return compacted(n, func(int) Change {
		c := person(r.IntN(million))
		c.ID = testID(uint64(1_700_000_000_000+r.IntN(million)), r)
		c.Key.EnqueuedAt += int64(r.IntN(1000))
		return c
	})
}

// People who were claimed come back to where they stood.
func BenchmarkRelease1M(b *testing.B) {
	x := New(Remember(b.N))
	back := releases(b.N)
	err := x.Reset(func(add func(Change)) error {
		for _, c := range people() {
			add(c)
		}
		for _, c := range back {
			add(Change{ID: c.ID, Version: c.Version})
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for i := range back {
		back[i].Version++
	}
	runtime.GC()
	b.ResetTimer()
	used := cpu()
	for _, c := range back {
		x.Apply(c)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "inserts/s")
	b.ReportMetric(float64((cpu()-used).Nanoseconds())/float64(b.N), "cpu-ns/op")
	if x.Len() != million+b.N {
		b.Fatal(x.Len())
	}
}

// Late commits: people nobody has heard of, anywhere in a line of a million.
func BenchmarkInsertMiddle1M(b *testing.B) {
	x := loaded(b, people())
	fresh := releases(b.N)
	runtime.GC()
	b.ResetTimer()
	used := cpu()
	for _, c := range fresh {
		x.Apply(c)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "inserts/s")
	b.ReportMetric(float64((cpu()-used).Nanoseconds())/float64(b.N), "cpu-ns/op")
	if x.Len() != million+b.N {
		b.Fatal(x.Len())
	}
}

// The same in batches of 100, as a dispatcher commits them.
func BenchmarkInsertMiddle1MBatched(b *testing.B) {
	x := loaded(b, people())
	fresh := releases(b.N)
	runtime.GC()
	b.ResetTimer()
	used := cpu()
	for part := range slices.Chunk(fresh, 100) {
		x.ApplyAll(part)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "inserts/s")
	b.ReportMetric(float64((cpu()-used).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// Joins at the end of the class and claims at its head: what happens most.
func BenchmarkJoinClaim1M(b *testing.B) {
	x := loaded(b, people())
	fresh := compacted(b.N, func(i int) Change { return person(million + i) })
	runtime.GC()
	b.ResetTimer()
	used := cpu()
	for _, c := range fresh {
		x.Apply(c)
		e, _ := x.View().At(1)
		x.Apply(Change{ID: e.ID, Version: 2})
	}
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "changes/s")
	b.ReportMetric(float64((cpu()-used).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// Build reads a stream in the order of the line, or shuffled, or in that of time.
func BenchmarkBuild1M(b *testing.B) {
	inOrder := slices.Clone(people())
	slices.SortFunc(inOrder, func(a, c Change) int {
		return cmp.Or(cmp.Compare(c.Key.Priority, a.Key.Priority), cmp.Compare(a.Key.EnqueuedAt, c.Key.EnqueuedAt))
	})
	shuffled := slices.Clone(inOrder)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for _, s := range []struct {
		name string
		in   []Change
	}{{"line", inOrder}, {"time", people()}, {"shuffled", shuffled}} {
		b.Run(s.name, func(b *testing.B) {
			used := cpu()
			for b.Loop() {
				loaded(b, s.in)
			}
			b.ReportMetric(float64((cpu()-used).Milliseconds())/float64(b.N), "cpu-ms/line")
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)*1000, "ms/line")
		})
	}
}

// Footprint is what the heap holds more with the index than without, with everything that belongs to it.
func BenchmarkFootprint1M(b *testing.B) {
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for _, s := range []struct {
		name string
		make func() *Index
	}{
		{"built", func() *Index { return loaded(b, people()) }},
		{"inserted", func() *Index {
			x := New()
			for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(million) {
				x.Apply(people()[i])
			}
			return x
		}},
		{"churned", func() *Index { // a full line, all tombstones, and a million random claims and late joins behind it
			x := loaded(b, people())
			r := rand.New(rand.NewPCG(1, 2))
			for i := range million {
				c := person(million + i)
				c.Key.EnqueuedAt -= int64(r.IntN(million)) * 1000
				x.Apply(c)
				e, _ := x.View().At(1 + r.IntN(million))
				x.Apply(Change{ID: e.ID, Version: 2})
			}
			return x
		}},
	} {
		b.Run(s.name, func(b *testing.B) {
			for b.Loop() {
				people()
				before := heap()
				x := s.make()
				bytes := heap() - before
				b.ReportMetric(float64(bytes)/float64(x.Len()), "B/entry")
				b.ReportMetric(float64(bytes)/1e6, "MB")
				runtime.KeepAlive(x)
			}
		})
	}
}
