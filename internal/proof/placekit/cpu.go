//go:build unix

package placekit

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// CPU is the processor time that a process has used, to a hundredth of a second; ok is false where the system does not tell (it has no /proc)
// or the process has ended.
func CPU(pid int) (used time.Duration, ok bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	const user, system, tick = 11, 12, time.Second / 100 // fields after the name, which is in brackets and may hold spaces
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) <= system {
		return 0, false
	}
	for _, field := range fields[user : system+1] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, false
		}
		used += time.Duration(n) * tick
	}
	return used, true
}
