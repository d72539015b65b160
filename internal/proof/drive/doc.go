// Package drive runs the built kitshub as a process and talks to it as a user's program would: over HTTP, by signals and by its command line.
// The demo, the proof program and their tests share it. It imports nothing of the hub, so that what it sees is what a stranger would see.
package drive
