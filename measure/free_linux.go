package measure

import (
	"os"
	"strconv"
	"strings"
)

// FreeMemory is how much memory the process may still take, in bytes: what the
// system has to give, or what is left of the limit of the control group. 0 is
// unknown.
func FreeMemory() int64 {
	kib, _, _ := strings.Cut(procLine("/proc/meminfo", "MemAvailable"), " ")
	n, _ := strconv.ParseInt(kib, 10, 64)
	free := n << 10
	limit, used := groupNumber("memory.max"), groupNumber("memory.current")
	if limit > 0 && used > 0 {
		free = min(free, max(1, limit-used))
	}
	return free
}

// groupNumber reads a number of the control group that is the root of what the
// process sees; 0 where there is none.
func groupNumber(name string) int64 {
	text, _ := os.ReadFile("/sys/fs/cgroup/" + name)
	n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is no limit
	return n
}
