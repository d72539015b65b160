//go:build unix

package pgserver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// How many places on the disk are tried, and with how many files each: on a good one they take a millisecond, on a bad one thirty.
const (
	placesTried = 8
	filesTried  = 48
)

// makeApart makes the empty directory name in dir at a place on the disk where files are quickly made.
//
// An ext4 without a journal, as virtual machines have it, passes over the inodes that were freed in the last minutes, one by one, whenever it makes
// a file (recently_deleted in its ialloc.c). A server has 400 files a database, and where one had just been removed a copy of a database took 230 ms
// of the processor instead of 32. A directory lies where its parent does, unless the parent is marked as the top of a hierarchy (chattr +T): then it
// lies where there are few directories yet. Where there is no chattr, or it cannot, all places are as good.
func makeApart(dir, name string) (string, error) {
	_ = exec.Command("chattr", "+T", dir).Run() //nolint:gosec,noctx // it is our own directory, and done at once
	var best string
	var least time.Duration
	places := make([]string, placesTried)
	for i := range places { // all are kept until the last is made, so that each lies elsewhere
		places[i] = filepath.Join(dir, name+strconv.Itoa(i))
		took, err := makeFiles(places[i])
		if err != nil {
			return "", err
		}
		if i == 0 || took < least {
			best, least = places[i], took
		}
	}
	made := filepath.Join(dir, name)
	if err := os.Rename(best, made); err != nil {
		return "", fmt.Errorf("choose a place: %w", err)
	}
	for _, other := range places {
		if other != best {
			if err := os.Remove(other); err != nil {
				return "", fmt.Errorf("leave the other places: %w", err)
			}
		}
	}
	return made, nil
}

// makeFiles makes a directory, and says how long it takes to make files in it; they are removed again.
func makeFiles(dir string) (took time.Duration, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, fmt.Errorf("try a place: %w", err)
	}
	begun := time.Now()
	for i := range filesTried {
		f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(i)), os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return 0, fmt.Errorf("try a place: %w", err)
		}
		if err := f.Close(); err != nil {
			return 0, fmt.Errorf("try a place: %w", err)
		}
	}
	took = time.Since(begun)
	for i := range filesTried {
		if err := os.Remove(filepath.Join(dir, strconv.Itoa(i))); err != nil {
			return 0, fmt.Errorf("try a place: %w", err)
		}
	}
	return took, nil
}
