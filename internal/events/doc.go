// Package events tells watchers that something changed, in this process (Bus) and, on Postgres, in the other hubs on the same database
// (Bridge). A signal carries no content and may be one for many changes: a watcher reads what is true when it wakes.
//
// It promises little on purpose. Within a process no change goes unsignalled. Between processes a signal may be lost (a connection breaks, a
// hub is overrun), so watchers also read again every few seconds; after a lost connection every watcher is signalled once.
package events
