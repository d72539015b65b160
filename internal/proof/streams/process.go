//go:build unix

package streams

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kitshub/kitshub/internal/proof/placekit"
)

// spareFiles is what this process and the hub need beside the streams.
const spareFiles = 500

// roomFor raises the limit of open files. The hub needs the same and inherits what is possible: Go raises its own limit to the hard one.
func roomFor(n int) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	need := uint64(n + spareFiles) //nolint:gosec // positive
	if l.Cur >= need {
		return nil
	}
	l.Cur = need
	l.Max = max(l.Max, need) // only root may
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("%d streams need %d open files (see ulimit -n): %w", n, need, err)
	}
	return nil
}

// residentKB is the resident memory of a process.
func residentKB(pid int) (float64, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, err
	}
	_, after, ok := strings.Cut(string(text), "VmRSS:")
	if fields := strings.Fields(after); ok && len(fields) > 0 {
		return strconv.ParseFloat(fields[0], 64)
	}
	return 0, fmt.Errorf("the kernel does not say how much memory process %d has", pid)
}

// cpuDuring is how many processors a process uses in the next while.
func cpuDuring(ctx context.Context, pid int, d time.Duration) (float64, error) {
	before, err := placekit.CPU(pid)
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	if err := wait(ctx, d); err != nil {
		return 0, err
	}
	now, err := placekit.CPU(pid)
	used := (now - before).Seconds() / time.Since(begun).Seconds()
	return float64(int(100*used)) / 100, err
}
