//go:build !purego

package kernel

import "syscall"

// tilesAllowed asks for the tile registers, which Linux gives a process on
// request only: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA).
func tilesAllowed() bool {
	const requestPermission, tileData = 0x1023, 18
	_, _, errno := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, requestPermission, tileData, 0)
	return errno == 0
}
