//go:build unix

package placekit

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// CPU is the processor time that a process has used, to a hundredth of a second. It is an error where the system has no /proc.
func CPU(pid int) (used time.Duration, err error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	const user, system = 11, 12        // fields after the name, which is in brackets and may hold spaces
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every architecture that Go runs on
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) <= system {
		return 0, fmt.Errorf("/proc/%d/stat is not as expected", pid)
	}
	for _, field := range fields[user : system+1] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		used += time.Duration(n) * tick
	}
	return used, nil
}
