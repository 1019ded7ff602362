package measure

import (
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ticks a second in what Linux tells users, on every architecture of Go.
const ticks = 100

// startedAt is field 22 of /proc/self/stat, in ticks since the system booted,
// or the zero time. Fields count from the end of the name, which may hold
// anything. See proc_pid_stat(5).
func startedAt() time.Time {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return time.Time{}
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 {
		return time.Time{}
	}
	start, err := strconv.ParseInt(fields[19], 10, 64)
	if err != nil {
		return time.Time{}
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return time.Time{}
	}
	age := time.Duration(now.Nano()) - time.Duration(start)*(time.Second/ticks)
	return time.Now().Add(-age)
}

// PeakMemoryMiB is the most memory that the process had in RAM.
func PeakMemoryMiB() float64 {
	kib, _, _ := strings.Cut(procLine("/proc/self/status", "VmHWM"), " ")
	n, _ := strconv.ParseFloat(kib, 64)
	return n / 1024
}

// CPU is the name of the processor, or "".
func CPU() string { return procLine("/proc/cpuinfo", "model name") }

// procLine is the value of the first line "key: value" of a file.
func procLine(path, key string) string {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
