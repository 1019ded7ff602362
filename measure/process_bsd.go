//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package measure

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

func startedAt() time.Time { return time.Time{} }

// PeakMemoryMiB is the most memory that the process had in RAM, or 0.
func PeakMemoryMiB() float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return float64(u.Maxrss) / (1 << 20) // bytes
	}
	return float64(u.Maxrss) / 1024 // KiB
}

// CPU is the name of the processor, or "".
func CPU() string {
	name, err := unix.Sysctl("machdep.cpu.brand_string") // Darwin
	if err != nil {
		name, _ = unix.Sysctl("hw.model")
	}
	return name
}
