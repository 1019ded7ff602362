package measure

import "golang.org/x/sys/windows"

// FreeDisk is how many bytes the user may still write to the volume that holds
// the folder path; 0 is unknown.
func FreeDisk(path string) int64 {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, nil, nil); err != nil {
		return 0
	}
	return int64(free)
}
