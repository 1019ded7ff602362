//go:build !(linux || darwin || freebsd || windows)

package measure

// FreeDisk is 0: this system does not say.
func FreeDisk(string) int64 { return 0 }
