//go:build unix

package sqlitefile

import (
	"os"
	"syscall"
)

// lockFile takes the file's lock or fails at once; it goes with the file or the process. flock, not fcntl: SQLite's own locks are of the
// latter kind, and the two do not meet.
func lockFile(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
