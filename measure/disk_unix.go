//go:build linux || darwin || freebsd

package measure

import "golang.org/x/sys/unix"

// FreeDisk is how many bytes the user may still write to the file system that
// holds path; 0 is unknown.
func FreeDisk(path string) int64 {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0
	}
	return int64(s.Bavail) * int64(s.Bsize)
}
