package kernel

import (
	"syscall"
	"unsafe"
)

// largePage is what the tables of the CPU reach with one entry of the second
// kind, on most machines.
const largePage = 2 << 20

// Floats returns n zeros, in large pages where they fill a good part of one: a
// step walks through hundreds of megabytes, and there are far fewer large pages
// to look up, and to be handed out when a process starts.
func Floats(n int) []float32 {
	s := make([]float32, n)
	if 4*n < largePage/4 {
		return s
	}
	// To whole pages outwards: the neighbours are of the same heap, and a large
	// page is as good for them.
	from := uintptr(unsafe.Pointer(&s[0])) &^ (largePage - 1)
	to := (uintptr(unsafe.Pointer(&s[n-1])) + largePage) &^ (largePage - 1)
	// A system without them says so, and nothing is lost.
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, from, to-from, syscall.MADV_HUGEPAGE)
	return s
}
