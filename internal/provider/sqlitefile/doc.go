// Package sqlitefile makes tenants' databases as SQLite files, one each, in a directory. It implements hub.Provider.
//
// # Files
//
//	Dir/<tenant id>.g<generation>.db         a tenant's database (mode 0600), with -wal and -shm beside it while it is open
//	Dir/.tmp-…                               a copy in the making
//	Dir/.quarantine/…                        those that were shut away
//	GoldenDir/<template key>.db              a golden file (mode 0400): all steps of one plan, ready to be copied
//	GoldenDir/.tmp-…                         a golden file in the making
//
// The directory is flat: the name of a file is found by looking, one directory has to be synced, and file systems in use look names up in
// trees, so shards would only help beyond what one machine serves. The place of a backend is the bare file name and is wholly given by tenant
// and generation; a place that is any other name, however it came into the hub's database, is refused before a path is made of it.
//
// # Never half a database
//
// A file gets its final name only when it is whole and synced: Create copies to a temporary name in the same directory, syncs, then links it
// to the final name, which fails if that exists (a rename would replace a database that a second worker has begun to fill), and syncs the
// directory. A crash at any point leaves a temporary file, which New removes at the next start unless the process that makes it still lives
// (it holds a lock on it). Drop removes the -wal first and the database last, so that where no database is, no stale log waits for the next one.
//
// # Golden files
//
// A golden file is built at the first need by running the template's steps on an empty database, without syncs, since a failure throws it
// away; it is compacted, switched to its journal mode, synced, and linked like any other. Workers that need the same one at the same time wait
// for the first. A damaged one (its size does not fit its header) is built again. The least recently used go when there are more than
// MaxGolden. If the catalog itself breaks the build, Create gives an empty database: the pipeline then runs step by step and can name the
// step, file and line that fails, and what came before it stays.
//
// # Journal mode
//
// Databases are shipped in WAL mode. The mode is kept in the file, so the customer's program gets it without knowing: its readers never wait
// for its writer, and a commit costs one sync instead of three. The golden file too is in WAL mode, but was closed after a checkpoint, so it
// is one file. The price is that the files must be on a local disk, as they must for SQLite's locks anyway.
//
// # What it does not do
//
// It does not look into databases: whose one is, and what is in it, package tenantdb knows. It does not encrypt: the mode bits and the disk
// do. A tenant's role on SQLite is the same file with nothing the hub adds; keeping programs apart is a matter of mode bits.
package sqlitefile
