// Package queue is the pending line in memory: who stands at which place, exactly, in O(log n), at a million waiting and while the line
// moves. It is pure: the standard library only, no database, no clock, nothing of the hub.
//
// The order is the contract's: priority descending, then enqueue time, then id (as text). No two share a place; places begin at 1.
//
// What it does
//
//   - [Index.Apply] and [Index.ApplyAll] take the changes that the database committed, in any order, late, or twice: the greatest version of
//     an id wins, also over an id that has left (it leaves a tombstone, see below). The result depends on the set of changes and not on
//     their order, which is what makes commit order on Postgres harmless.
//   - [Index.Place] answers one id: place, how many are ahead, of the same way, in each class.
//   - [Index.View] is the whole line at one instant, for counting and walking in order; it costs nothing to take and nobody waits for it.
//   - [Index.Reset] builds the line anew from a stream while the old one goes on answering, and loses no change that arrives meanwhile.
//
// What it does not do: it knows no clock (as_of is the caller's), does not find out that a change was missed (gaps, lost connections and
// restored databases are seen by who reads the database, and answered with Reset), keeps nobody who is not pending, and forecasts nothing.
//
// # Structure
//
// Three counted B+trees, one for each class, whose nodes are never changed once published: a change copies the path from its leaf to
// the root and publishes the new roots by one atomic store (path copying: Driscoll, Sarnak, Sleator, Tarjan 1989, "Making data
// structures persistent"). Because a node is copied anyway, it holds the running sums of its children instead of their counts, so a rank
// costs one addition for each level; a Fenwick tree (Fenwick 1994), which balances an O(log n) sum against an O(log n) update, has
// nothing left to win here. The garbage collector frees old nodes when the last reader has gone.
//
// An id finds its key by a hash table of 256 pieces with open addressing, 32 bytes a slot and no pointer in it, read by atomic loads
// without a lock. What the table says is only a hint: an answer counts if the tree of that instant holds exactly that key, and the tree
// alone gives the place. So a torn or outdated hint cannot make a wrong answer; it makes a second look.
//
//	join:  table, then tree        leave:  tree, then table
//
// so whoever is not in the table is not in the tree, and every answer is true at the instant at which the tree was read. A reader takes
// the writers' lock only when the tree disagreed three times in a row, that is when it met three changes of the very id it asks for.
//
// Ids of the hub's form (req_ and 26 characters) are held as 16 bytes; any other text works too, through a side table, at the price of a
// lock and a text comparison among equal enqueue times.
//
// # Measured
//
// On two cores that other work shared, where one load that misses the caches takes 250 ns (BenchmarkMiss; a Place makes three to four), a
// million waiting, go test -bench . -benchtime 1000000x in this package, the quietest of the runs: 2.4 million places a second; 2.1
// million with 20,000 joins and 20,000 claims a second beside, p99 1.5 µs; 200,000 insertions into the middle a second one by one and
// 300,000 in batches of a hundred; building 0.5 s of processor time; 72 MB when built, 80 MB when inserted at random, 110 MB after a
// million random departures and joins and with all 2^18 tombstones. Turned down:
//
//   - The same behind a sync.RWMutex: 0.93 million places a second beside the same writers, p99 7 to 12 µs, since every reader writes to
//     the lock's cache line and waits out every change (BenchmarkPlace1MWithWritersLocked).
//   - A map and a Fenwick tree over fixed slots: 2.3 million a second on one core, but nothing can be inserted into its middle, and
//     readers need the lock again.
//   - Nodes changed in place under a sequence lock: nothing for the garbage collector, but readers turn in circles while a writer that
//     was taken off the processor is within a change, and a walk of the line needs a lock or a copy.
//   - Leaves of 20 and 41, inner nodes of 14, 22 and 62: the same or slower to read. Untyped pointers in inner nodes save a quarter of
//     their bytes and 8 % of an insertion; not worth package unsafe.
//   - A table of one word an id, which names a slot in a leaf of 60 that keeps its order apart, so that one look finds the entry and the
//     tree only counts: 8 to 11 % faster reads, 3 % slower insertions, both asked in turns in one process; not worth keeping every split and
//     merge in step with the table.
//   - The last times of each leaf's cache lines side by side in its first: fewer lines read, but one after the other; no gain.
//   - Ids as bounds in inner nodes, beside times: 15 % slower insertions.
//   - Huge pages for the heap (madvise): 20 % faster reads; a matter of the machine's settings and not of this package.
//
// # Tombstones
//
// A removed id is remembered with its version, so that a late older change cannot bring somebody back into the line. The number is bounded
// ([Remember], by default 2^18: 13 seconds of 20,000 departures a second, 44 minutes of a hundred); beyond it the oldest goes. Who knows that nothing
// older can still arrive says so with [Index.Mark] and, later, [Index.Forget].
//
// # Ageing
//
// The rule that a request rises one class after so long needs nothing here: the database decides who rises, counts the version up and writes
// the new priority, and that arrives as a change like any other (the move is one publication, nobody sees the request twice or not at all).
// Ageing inside the index would need a clock and would let two hubs disagree about the order.
//
// # Sabotage
//
// Built with the tag sabotage the index counts one too few between the classes; the model test must then fail, and TestPlantedBug
// checks that it does.
package queue
