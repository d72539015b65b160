//go:build !unix

package sqlitefile

import "os"

// lockFile does nothing where there is no flock. Windows refuses to remove a file that is open, which keeps a sweep from the living as well.
func lockFile(*os.File) error { return nil }
