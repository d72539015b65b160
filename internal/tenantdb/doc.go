// Package tenantdb works inside a tenant's own database: it applies the steps of the catalog, keeps their ledger, checks, seals the identity
// and probes. It implements hub.TenantDB, is given an open connection and owns none.
//
// # Exactly once
//
// Every tenant database has a table kitshub_ledger with one row per applied step. A step's row is written in the step's own transaction, as
// its first statement:
//
//	BEGIN
//	INSERT INTO kitshub_ledger …         -- it is there: the step was applied before; nothing more happens
//	…the step's SQL…
//	UPDATE kitshub_ledger SET duration_us …
//	COMMIT
//
// On Postgres all of it is one message, which the server runs as one transaction: one round trip a step.
//
// So after a crash at any instant the database holds either the whole step and its row, or neither; what the hub believes it did is of no
// weight. The row comes first because it is also the lock: as the first statement of its transaction it takes SQLite's write lock at once
// (what BEGIN IMMEDIATE would do, but as the same text for both engines), and on Postgres a second insert of the same key waits for the
// first one's end. Two workers that try the same step, in whatever processes, come one after the other, and the second one sees the row.
//
// A step that is in the ledger with another checksum is refused: a released migration is never edited, because the databases that have it
// would silently differ from those that get it later.
//
// A script marked no-transaction (VACUUM, CREATE INDEX CONCURRENTLY) cannot have this promise: its row is written after it ran, so a crash
// between the two runs it again. Such scripts are written to be safe to repeat; the index that an interrupted CREATE INDEX CONCURRENTLY left,
// which is there and not valid, is dropped before the statement runs again. A script in a transaction must not end that transaction
// itself; one that says COMMIT or ROLLBACK is refused before anything runs.
//
// # What else it leaves in a tenant's database
//
// kitshub_identity holds one row that says whose database this is, and kitshub_probe is an empty table in which a probe writes and rolls back.
//
// # What it does not do
//
// It makes and opens no database (packages under provider), computes no MAC (vault), plans no steps and splits no SQL (catalog.Split is
// handed to New), and decides nothing about retries (hub).
package tenantdb
