package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"time"
)

const (
	// commandLimit ends an exec: command that hangs, for example one that waits for a password.
	commandLimit = 10 * time.Second

	// sourceMax (bytes) bounds what a file or command may give; the longest sensible passphrase is far shorter.
	sourceMax = 64 << 10
)

func keyFromFile(path string) (Key, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return Key{}, fmt.Errorf("ENCRYPTION_KEY: the key file cannot be read: %w. Check the path and its owner", bare(err))
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil || info.IsDir() {
		return Key{}, errors.New("ENCRYPTION_KEY: the key file is not a file. Give the path of a file that holds the key")
	}
	// Windows reports made-up mode bits.
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return Key{}, fmt.Errorf("ENCRYPTION_KEY: the key file %s can be read by others (mode %04o). Run chmod 600 on it; on Kubernetes mount the secret with defaultMode 0400", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, sourceMax))
	if err != nil {
		return Key{}, fmt.Errorf("ENCRYPTION_KEY: the key file %s cannot be read: %w. Check the disk", path, bare(err))
	}
	return parseKey(string(text), path)
}

// keyFromCommand runs the command itself, not a shell: words are split at spaces, quotes and $ mean nothing. Its standard
// error is thrown away, because tools print secrets there when they fail.
func keyFromCommand(words []string, limit time.Duration) (Key, error) {
	if len(words) == 0 {
		return Key{}, errors.New("ENCRYPTION_KEY: exec: names no command. Write exec: followed by the command that prints the key")
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, words[0], words[1:]...) //nolint:gosec // the operator names the command
	cmd.WaitDelay = time.Second                             // a grandchild that keeps the pipe open must not hold us
	out := &limitedBuffer{}
	cmd.Stdout = out
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return Key{}, fmt.Errorf("ENCRYPTION_KEY: the exec: command did not end within %s. Run it by hand; it must not ask for anything", limit)
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return Key{}, errors.New("ENCRYPTION_KEY: the exec: command cannot be started. Give its full path; no shell is involved, so quotes, pipes and $ mean nothing")
	case err != nil:
		return Key{}, fmt.Errorf("ENCRYPTION_KEY: the exec: command failed (%s). Run it by hand as the hub's user to see why", cmd.ProcessState)
	}
	return parseKey(string(out.b), "the output of the exec: command")
}

// limitedBuffer keeps the first sourceMax bytes and lets the command go on.
type limitedBuffer struct{ b []byte }

func (l *limitedBuffer) Write(p []byte) (int, error) {
	l.b = append(l.b, p[:min(len(p), sourceMax-len(l.b))]...)
	return len(p), nil
}

// bare takes the path out of a file error: the value of file: may be a key pasted in the wrong form.
func bare(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
