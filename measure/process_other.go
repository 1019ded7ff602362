//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package measure

import "time"

func startedAt() time.Time { return time.Time{} }

// PeakMemoryMiB is 0: this system does not say.
func PeakMemoryMiB() float64 { return 0 }

// CPU is "": this system does not say.
func CPU() string { return "" }
